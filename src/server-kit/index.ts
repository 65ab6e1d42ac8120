/**
 * The parts that `@org/model-guard-server` is built from: the contract, and the native work with a server's keys. Server and SDK of the same
 * version belong together; nothing here is promised to others.
 */
export { chainHead, EMPTY_HEAD, exportHeader } from '../audit/chain.js';
export { decode, encode, hex, unhex } from '../base/bytes.js';
export { MAX_PEM, MAX_SMALL } from '../base/limits.js';
export { countOf, list, text } from '../base/schemas.js';
export { Semaphore } from '../base/semaphore.js';
export { wordsOf } from '../base/validate.js';
export * from '../contract/index.js';
export { checkParts } from '../engine/check-parts.js';
export { codeOf, ERROR_CODES, isModelGuardError, ModelGuardError, type ModelGuardErrorCode } from '../errors.js';
export { isTemporary, readAtMost, readLine, systemCode, writeWhole } from '../files/files.js';
export { isLoopback } from '../http/address.js';
export { DeviceKey, MasterKey, SigningKey } from '../keys/secret.js';
export { fileStore } from '../stores/file.js';
export {
  COMPLETE_MS,
  type ObjectFacts,
  type ObjectRequest,
  type ObjectStorage,
  type StoredPiece,
} from '../stores/object/storage.js';
export { S3Bucket, type S3BucketSettings } from '../stores/s3/bucket.js';
export { S3Refusal } from '../stores/s3/errors.js';
export { type S3ClientSettings, S3Clients } from '../stores/s3/sdk.js';
export { exitCodeOf, isCommanderError } from '../terminal/exit.js';
export { askNewPassword } from '../terminal/prompt.js';
export { makeStrict } from '../terminal/strict.js';
export { choosePieceBytes, countPieces, pieceSize } from '../transfer/pieces.js';
export { type RangedPart, rangedPart } from '../transfer/ranged.js';
export { verify } from '../verify.js';
export * from './keys.js';
export { lockFile } from './lock.js';
