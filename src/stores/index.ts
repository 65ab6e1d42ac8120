export { type FileStoreOptions, fileStore } from './file.js';
export { type HttpStoreOptions, httpStore } from './http.js';
export { memoryStore } from './memory.js';
export { s3Store } from './s3/store.js';
export type { S3KeyPairs, S3KeySource, S3Keys, S3StoreOptions } from './s3/types.js';
export type {
  BigPartSource,
  CollectOptions,
  DefaultsOptions,
  LeaseUse,
  ModelRef,
  OpenBigPart,
  PartStore,
  Published,
  ReadBigOptions,
  Standing,
  StoreDefaults,
  StoreOptions,
  Stores,
  UploadNotes,
} from './store.js';
