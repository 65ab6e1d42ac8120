/** Options of the cache. */
import { z } from 'zod';
import { filePath } from '../base/validate.js';

export const cacheOptions = z.strictObject({ folder: filePath.optional(), maxBytes: z.int().min(0).optional() });

/** {@link CacheOptions}, or no cache. */
export const cacheChoice = z
  .union([z.literal(false), cacheOptions], { error: 'wants false, or { folder, maxBytes }' })
  .optional();

/** The cache on this machine, of encrypted big parts and of sealed artifacts that were derived from models. */
export interface CacheOptions {
  /** Default: `~/.cache/model-guard`, or below XDG_CACHE_HOME where that is set. */
  readonly folder?: string | undefined;
  /** Bytes. Above this size the least recently used entries are evicted. Default: 32 GiB. */
  readonly maxBytes?: number | undefined;
}
