export { type FileStoreOptions, fileStore } from './file.js';
export { memoryStore } from './memory.js';
export type {
  BigPartSource,
  CollectOptions,
  DefaultsOptions,
  ModelRef,
  OpenBigPart,
  PartStore,
  Published,
  StoreDefaults,
  StoreOptions,
  Stores,
} from './store.js';
