/** Which failures of a load are blamed on the file it was given from the cache. */
import path from 'node:path';
import { expect, it, vi } from 'vitest';
import { CiphertextCache } from '../../src/cache/cache.js';
import { cachedLoad } from '../../src/cache/cached-load.js';
import { AbortError, ModelGuardError } from '../../src/errors.js';
import { keyOf, put } from '../support/cached-parts.js';
import { temporaryFolder } from '../support/temp.js';

const cache = new CiphertextCache({ folder: path.join(temporaryFolder('through'), 'cache'), maxBytes: 1e6 });
const key = keyOf(1, 1000);
const bigs = { openBig: () => Promise.reject(new Error('nobody opens it')) };
vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);

const attempt = async (failure: unknown): Promise<'fetched'> => {
  await put(cache, key);
  return cachedLoad(cache, {
    key,
    bigs,
    fromFile: () => Promise.reject(failure),
    fromStore: async () => 'fetched' as const,
  });
};

it.each([
  'DIGEST_MISMATCH',
  'INTEGRITY_FAILED',
  'PARTS_MISMATCH',
  'CONTAINER_TRUNCATED',
  'NOT_FOUND',
  'PERMISSION_DENIED',
  'SOURCE_UNSUPPORTED',
  'IO_FAILED',
] as const)('%s: it is dropped, and the part fetched', async (code) => {
  expect(await attempt(new ModelGuardError(code, 'the file is bad'))).toBe('fetched');
  expect(await cache.find(key)).toBeUndefined();
});

it.each([new ModelGuardError('OUT_OF_MEMORY', 'no room'), new AbortError(), new Error('of a callback')])(
  '%s: it stays, and the load fails',
  async (failure) => {
    await expect(attempt(failure)).rejects.toBe(failure);
    expect(await cache.find(key)).toBeDefined();
  },
);
