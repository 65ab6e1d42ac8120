export type { AuditCheckpoint, AuditLogSource, AuditReport, VerifyAuditLogOptions } from './audit/types.js';
export { verifyAuditLog } from './audit/verify.js';
export type { AbortSignalLike } from './base/abort.js';
export type { CacheOptions } from './cache/options.js';
export type { AuditAction, AuditActionFilter } from './contract/audit-actions.js';
export type { DecryptOptions } from './decrypt.js';
export { decrypt, decryptFile } from './decrypt.js';
export type { EncryptOptions } from './encrypt.js';
export { encrypt, encryptFile } from './encrypt.js';
export type { Artifact, ArtifactMaker, ArtifactMetadata, ArtifactOptions } from './engine/artifact.js';
export type { ContainerInfo } from './engine/container.js';
export type { GuardedFile, StreamOptions } from './engine/file.js';
export type { GuardedModel, LoadedMetadata, ModelMetadata, Protection } from './engine/model.js';
export type {
  DerivationOptions,
  FormOptions,
  OriginOptions,
  OverwriteOptions,
  PartFiles,
  Parts,
  SealOptions,
  SourceOptions,
  SplitRule,
} from './engine/options.js';
export type { ProtectedModel, SealedFile } from './engine/seal.js';
export type { ModelStream } from './engine/stream.js';
export type { GuardedTensor } from './engine/tensors.js';
export { AbortError, ModelGuardError, type ModelGuardErrorCode, type ModelGuardErrorOptions } from './errors.js';
export type { ExportMachineOptions } from './export-machine.js';
export { exportMachine } from './export-machine.js';
export type { FingerprintOptions, HardwareFactor, HardwareFingerprint } from './fingerprint.js';
export { fingerprint } from './fingerprint.js';
export type { TlsSource } from './http/tls.js';
export type { ReadKeyOptions } from './keys/files.js';
export type { MachineFactor, MachinePolicy, MachineTerms, SealedKeyOptions } from './keys/machine-policy.js';
export type { PassphraseSource } from './keys/passphrase.js';
export { passphrase } from './keys/passphrase.js';
export { DevicePublicKey, VerifyingKey } from './keys/public.js';
export { DeviceKey, MasterKey, Passphrase, SigningKey } from './keys/secret.js';
export type { Verifier } from './keys/verifiers.js';
export type { LoadOptions } from './load.js';
export { load } from './load.js';
export type { LegacySource, MigratedSource, MigrateOptions, MigrateToFileOptions, MigrateToStoreOptions } from './migrate.js';
export { migrate } from './migrate.js';
export { useNativeAddon } from './native/addon.js';
export type { Progress, ProgressPhase, RunOptions } from './native/work.js';
export type { ProtectOptions } from './protect.js';
export { protect } from './protect.js';
export { type Hardware, hardware, type MachineDemand } from './recipients/hardware.js';
export type { Identity, Recipient, SlotInfo } from './recipients/kinds.js';
export type { RekeyOptions } from './rekey.js';
export { rekey } from './rekey.js';
export * from './remote/index.js';
export type { RewrapOptions } from './rewrap.js';
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
  type LeaseUse,
  type ModelRef,
  memoryStore,
  type OpenBigPart,
  type PartStore,
  type Published,
  type ReadBigOptions,
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
export type { Reference } from './stores/options.js';
export type { ContainerSource, Verified, VerifyOptions } from './verify.js';
export { inspect, verify } from './verify.js';
export { type Versions, versions } from './versions.js';
