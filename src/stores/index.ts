export { type FileStoreOptions, fileStore } from './file.js';
export { memoryStore } from './memory.js';
export type {
  BigPartSource,
  CollectOptions,
  ModelRef,
  OpenBigPart,
  PartStore,
  StoreDefaults,
  StoreOptions,
  Stores,
} from './store.js';
