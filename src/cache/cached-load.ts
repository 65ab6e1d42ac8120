/** A load by way of the cache: from it where it can, else past it, and into it. */
import { isUint8Array } from 'node:util/types';
import { isModelGuardError, type ModelGuardErrorCode } from '../errors.js';
import type { OpenBigPart, PartStore } from '../stores/store.js';
import type { CacheKey, CiphertextCache } from './cache.js';
import { warnUnused } from './warn.js';
import type { CacheWriter } from './writer.js';

/** Codes of loads that fail because of the cached file. */
const USELESS: ReadonlySet<ModelGuardErrorCode> = new Set([
  'DIGEST_MISMATCH',
  'INTEGRITY_FAILED',
  'PARTS_MISMATCH',
  'CONTAINER_TRUNCATED',
  'NOT_FOUND',
  'PERMISSION_DENIED',
  'SOURCE_UNSUPPORTED',
  'IO_FAILED',
]);

/** Where big parts are opened. */
export type BigParts = Pick<PartStore, 'openBig'>;

interface Loading<T> {
  readonly key: CacheKey;
  /** Where it is fetched from if it is not kept. */
  readonly bigs: BigParts;
  readonly fromFile: (file: string) => Promise<T>;
  readonly fromStore: (bigs: BigParts) => Promise<T>;
}

/** Runs `fromFile` with a kept part, or `fromStore`; a part that is verified when that is over is kept. */
export async function cachedLoad<T>(cache: CiphertextCache, { key, bigs, fromFile, fromStore }: Loading<T>): Promise<T> {
  const file = await cache.find(key);
  if (file !== undefined) {
    try {
      return await fromFile(file);
    } catch (error) {
      if (!isModelGuardError(error) || !USELESS.has(error.code)) throw error;
      if (error.code !== 'NOT_FOUND') warnUnused(`${file} is damaged (${error.code}); the big part is fetched again.`);
      await cache.drop(key);
    }
  }
  const keeping = new KeepingParts(bigs, cache, key);
  try {
    const result = await fromStore(keeping);
    await keeping.commit();
    return result;
  } finally {
    await keeping.abandon();
  }
}

/** A store whose part is written to the cache as it is read, where it comes over a network. */
class KeepingParts implements BigParts {
  readonly #bigs: BigParts;
  readonly #cache: CiphertextCache;
  readonly #key: CacheKey;
  #keeping: CacheWriter | undefined;

  constructor(bigs: BigParts, cache: CiphertextCache, key: CacheKey) {
    this.#bigs = bigs;
    this.#cache = cache;
    this.#key = key;
  }

  async openBig(...args: Parameters<PartStore['openBig']>): Promise<OpenBigPart> {
    const part = await this.#bigs.openBig(...args);
    if (!part.remote || part.file !== undefined || part.size !== this.#key.size) return part;
    const keeping = await this.#cache.keep(this.#key);
    if (!keeping) return part;
    this.#keeping = keeping;
    return {
      size: part.size,
      remote: true,
      // The reader waits for the disk too, so that nothing piles up in memory.
      read: async (offset, length, options) => {
        const pieces = await part.read(offset, length, options);
        let at = offset;
        for (const piece of isUint8Array(pieces) ? [pieces] : pieces) {
          await keeping.write(at, piece);
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
    await this.#keeping?.commit();
  }

  async abandon(): Promise<void> {
    await this.#keeping?.abandon();
  }
}
