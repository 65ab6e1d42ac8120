export { decrypt, decryptFile, decryptStream } from './decrypt.js';
export type { DerivationOptions, HardwareHashOptions } from './derivation.js';
export { encrypt, encryptFile } from './encrypt.js';
export type { DownloadKeyOptions } from './key.js';
export { LegacyKey } from './key.js';
export { join, joinFiles, split, splitFile } from './parts.js';
export type { LegacyText } from './text.js';
export type {
  LegacyCopyOptions,
  LegacyDecryptOptions,
  LegacyEncryptFileOptions,
  LegacyFiles,
  LegacyKeyOptions,
  LegacyMetadata,
  LegacyModel,
  LegacySplitFileOptions,
  LegacySplitRule,
  LegacyStreamOptions,
} from './types.js';
