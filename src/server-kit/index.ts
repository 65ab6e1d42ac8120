/**
 * What `@org/model-guard-server` is built from: the contract, and the native work with a server's keys. Server and SDK of the same
 * version belong together; nothing here is promised to others.
 */
export { chainHead, EMPTY_HEAD, exportHeader } from '../audit/chain.js';
export { countOf, list, text } from '../bounded.js';
export { exitCodeOf, isCommanderError } from '../cli/exit.js';
export { askNewPassword } from '../cli/prompt.js';
export { type Refusing, unknownFlag } from '../cli/strict.js';
export * from '../contract/index.js';
export { ERROR_CODES, isModelGuardError, ModelGuardError, type ModelGuardErrorCode } from '../errors.js';
export { readAtMost, readLine, systemCode, writeWhole } from '../files.js';
export { hinted } from '../http/hints.js';
export { LEAST_BYTES, LeastRate } from '../http/least-rate.js';
export { PageMarkers } from '../http/page-markers.js';
export { DeviceKey, MasterKey, SigningKey } from '../keys/index.js';
export { MAX_PEM, MAX_PIECES, MAX_SMALL } from '../limits.js';
export { fileStore } from '../stores/file.js';
export { checkRangeAnswer } from '../transfer/range-answer.js';
export { type RangeSource, rangedPart } from '../transfer/ranged.js';
export { checkParts, verify } from '../verify.js';
export * from './keys.js';
export { lockFile } from './lock.js';
