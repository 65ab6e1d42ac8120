/**
 * Lists the parts of the SDK that the command uses beyond the public face. The other files of the command import them from here, so that
 * the list stays in view.
 */
export { type CiphertextCache, DEFAULT_MAX_BYTES, openCache } from '../cache/cache.js';
export type { CacheEntry, EntryName } from '../cache/entry.js';
export { cacheOptions } from '../cache/options.js';
export type { Removal as CacheRemoval } from '../cache/remover.js';
export { namingFile } from '../engine/container.js';
export { isFolder } from '../engine/model.js';
export { type Pace, pace } from '../http/retry.js';
export { isSealedFile, readAnyKey, readPublicText } from '../keys/any.js';
export { FACTORS, TPM_USES } from '../keys/machine-policy.js';
export { writeSaltsFile } from '../keys/salts.js';
export { decodeKey, type KeyPrefix, looksLikeKey } from '../keys/text.js';
export { startMounted } from '../native/mounted-program.js';
export { packageVersion } from '../native/package-root.js';
export { keyIdOf } from '../recipients/key-ids.js';
