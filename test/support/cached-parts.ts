/** Big parts for tests of the cache: each key says what its bytes are. */
import { createCipheriv, createHash } from 'node:crypto';
import type { CiphertextCache } from '../../src/cache/cache.js';
import type { CacheEntry, CacheKey } from '../../src/cache/entry.js';

/** The key of part number `number`. */
export function keyOf(number: number, size: number): CacheKey {
  return { digest: createHash('sha256').update(`part ${number}`).digest('hex'), offset: number, size };
}

export function bytesOf({ digest, size }: CacheKey): Uint8Array {
  const stream = createCipheriv('aes-256-ctr', Buffer.from(digest, 'hex'), Buffer.alloc(16));
  return Uint8Array.from(stream.update(Buffer.alloc(size)));
}

/** Puts a part into the cache. */
export async function put(cache: CiphertextCache, key: CacheKey): Promise<boolean> {
  const writer = await cache.begin(key);
  await writer?.write(0, bytesOf(key));
  return (await writer?.commit()) ?? false;
}

/** Entries that are all big parts. */
export const partsOf = (entries: readonly CacheEntry[]): readonly (CacheKey & CacheEntry)[] =>
  entries.map((entry) => {
    if ('derived' in entry) throw new Error(`${entry.derived} is no big part`);
    return entry;
  });
