/** Loads from the cache where it has the big part; else from the store, and fills the cache. */
import { isUint8Array } from 'node:util/types';
import { isModelGuardError, type ModelGuardError, type ModelGuardErrorCode } from '../errors.js';
import type { OpenBigPart, PartStore } from '../stores/store.js';
import type { CiphertextCache } from './cache.js';
import type { CacheKey } from './entry.js';
import { warnUnused } from './warn.js';
import type { CacheWriter } from './writer.js';

/** Codes of reads that fail because of the cached file: the part is fetched then. */
const FILE_FAULTS: ReadonlySet<ModelGuardErrorCode> = new Set([
  'DIGEST_MISMATCH',
  'INTEGRITY_FAILED',
  'PARTS_MISMATCH',
  'CONTAINER_TRUNCATED',
  'NOT_FOUND',
  'PERMISSION_DENIED',
  'SOURCE_UNSUPPORTED',
  'SOURCE_CHANGED',
  'IO_FAILED',
]);

export const isFileFault = (error: unknown): error is ModelGuardError => isModelGuardError(error) && FILE_FAULTS.has(error.code);

/** The part of a store that opens big parts. */
export type BigParts = Pick<PartStore, 'openBig'>;

/** A big part in the cache. */
export interface CachedPart {
  readonly file: string;
  /** Removes it, with a warning, because of a fault of the file. The next load fetches the part and caches it. */
  drop(fault: ModelGuardError): Promise<void>;
}

export async function findCached(cache: CiphertextCache, key: CacheKey): Promise<CachedPart | undefined> {
  const file = await cache.find(key);
  if (file === undefined) return undefined;
  return {
    file,
    async drop({ code }) {
      if (code !== 'NOT_FOUND') warnUnused(`${file} is damaged (${code}); the big part is fetched again.`);
      await cache.drop(key);
    },
  };
}

interface CachedLoad<T> {
  readonly key: CacheKey;
  /** The store of the part. */
  readonly bigs: BigParts;
  readonly fromFile: (file: string) => Promise<T>;
  readonly fromStore: (bigs: BigParts) => Promise<T>;
}

/** Runs `fromFile` with the cached part, or else `fromStore`. When `fromStore` has verified the part, it is in the cache. */
export async function cachedLoad<T>(cache: CiphertextCache, { key, bigs, fromFile, fromStore }: CachedLoad<T>): Promise<T> {
  const cached = await findCached(cache, key);
  if (cached) {
    try {
      return await fromFile(cached.file);
    } catch (error) {
      if (!isFileFault(error)) throw error;
      await cached.drop(error);
    }
  }
  const caching = new CachingParts(bigs, cache, key);
  try {
    const result = await fromStore(caching);
    await caching.commit();
    return result;
  } finally {
    await caching.abandon();
  }
}

/** Big parts of a store. One that comes over a network is written to the cache while it is read. */
class CachingParts implements BigParts {
  readonly #bigs: BigParts;
  readonly #cache: CiphertextCache;
  readonly #key: CacheKey;
  #writer: CacheWriter | undefined;
  #over = false;

  constructor(bigs: BigParts, cache: CiphertextCache, key: CacheKey) {
    this.#bigs = bigs;
    this.#cache = cache;
    this.#key = key;
  }

  async openBig(...args: Parameters<PartStore['openBig']>): Promise<OpenBigPart> {
    const part = await this.#bigs.openBig(...args);
    if (!part.remote || part.file !== undefined || part.size !== this.#key.size) return part;
    const writer = await this.#cache.begin(this.#key);
    if (!writer) return part;
    if (this.#over) {
      // The load was aborted meanwhile.
      await writer.abandon();
      return part;
    }
    this.#writer = writer;
    return {
      size: part.size,
      remote: true,
      // The reader waits for the disk, so that pieces do not pile up in memory.
      read: async (offset, length, options) => {
        const pieces = await part.read(offset, length, options);
        let at = offset;
        for (const piece of isUint8Array(pieces) ? [pieces] : pieces) {
          await writer.write(at, piece);
          at += piece.length;
        }
        return pieces;
      },
      recycle: (given) => part.recycle?.(given),
      tree: () => part.tree(),
      close: () => part.close(),
    };
  }

  async commit(): Promise<void> {
    await this.#writer?.commit();
  }

  async abandon(): Promise<void> {
    this.#over = true;
    await this.#writer?.abandon();
  }
}
