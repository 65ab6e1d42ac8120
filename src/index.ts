export type { AbortSignalLike } from './abort.js';
export type { AuditCheckpoint, AuditLogSource, AuditReport, VerifyAuditLogOptions } from './audit/types.js';
export { verifyAuditLog } from './audit/verify.js';
export { decrypt, decryptFile } from './decrypt.js';
export { encrypt, encryptFile } from './encrypt.js';
export { AbortError, ModelGuardError, type ModelGuardErrorCode } from './errors.js';
export { exportMachine } from './export-machine.js';
export { fingerprint } from './fingerprint.js';
export {
  DeviceKey,
  DevicePublicKey,
  type Hardware,
  hardware,
  MasterKey,
  Passphrase,
  passphrase,
  SigningKey,
  VerifyingKey,
} from './keys/index.js';
export { load } from './load.js';
export { migrate } from './migrate.js';
export type { GuardedFile, GuardedModel, LoadedMetadata } from './model.js';
export { useNativeAddon } from './native/addon.js';
export type { Progress, ProgressPhase, RunOptions } from './native/work.js';
export { protect } from './protect.js';
export { rekey } from './rekey.js';
export * from './remote/index.js';
export { rewrap } from './rewrap.js';
export { merge, mergeFiles, split, splitFile } from './split.js';
export {
  type BigPartSource,
  type CollectOptions,
  type DefaultsOptions,
  type FileStoreOptions,
  fileStore,
  type HttpStoreOptions,
  httpStore,
  type ModelRef,
  memoryStore,
  type OpenBigPart,
  type PartStore,
  type Published,
  type S3KeyPairs,
  type S3KeySource,
  type S3Keys,
  type S3StoreOptions,
  type Standing,
  type StoreDefaults,
  type StoreOptions,
  type Stores,
  s3Store,
  type UploadNotes,
} from './stores/index.js';
export type {
  CacheOptions,
  ContainerInfo,
  ContainerSource,
  DecryptOptions,
  DerivationOptions,
  EncryptOptions,
  ExportMachineOptions,
  FingerprintOptions,
  HardwareFactor,
  HardwareFingerprint,
  Identity,
  LegacySource,
  LoadOptions,
  MachineDemand,
  MachineFactor,
  MachinePolicy,
  MachineTerms,
  MigratedSource,
  MigrateOptions,
  MigrateToFileOptions,
  MigrateToStoreOptions,
  ModelMetadata,
  OriginOptions,
  OverwriteOptions,
  PartFiles,
  Parts,
  PassphraseSource,
  ProtectedModel,
  Protection,
  ProtectOptions,
  ReadKeyOptions,
  Recipient,
  Reference,
  RekeyOptions,
  RewrapOptions,
  SealedFile,
  SealedKeyOptions,
  SealOptions,
  SlotInfo,
  SplitRule,
  Verified,
  Verifier,
  VerifyOptions,
} from './types.js';
export { inspect, verify } from './verify.js';
