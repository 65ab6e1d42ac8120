export { decrypt, decryptFile, decryptStream } from './decrypt.js';
export { encrypt, encryptFile } from './encrypt.js';
export { LegacyKey } from './key.js';
export { join, joinFiles, split, splitFile } from './parts.js';
export type {
  DerivationOptions,
  DownloadKeyOptions,
  HardwareHashOptions,
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
  LegacyText,
} from './types.js';
