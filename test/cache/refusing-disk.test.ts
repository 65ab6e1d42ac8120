/**
 * A cache on file systems that refuse to remove a file or to set its times. If these fail, `cache clear` says that it freed what is still
 * there, or no load is cached on such a disk.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CiphertextCache } from '../../src/cache/cache.js';
import { bytesOf, keyOf, partsOf, put } from '../support/cached-parts.js';
import { modelGuard } from '../support/cli.js';
import { temporaryFolder } from '../support/temp.js';

/** The error code of each path that cannot be removed, and of every attempt to set times. */
const refused = vi.hoisted(() => ({ unlink: new Map<string, string>(), times: undefined as string | undefined }));
const systemError = vi.hoisted(
  () => (code: string, syscall: string) => Object.assign(new Error(`${code}: refused, ${syscall}`), { code, syscall }),
);
vi.mock('node:fs/promises', async (load) => {
  const original = await load<typeof import('node:fs/promises')>();
  const unlink: typeof original.unlink = async (file) => {
    const code = refused.unlink.get(String(file));
    if (code !== undefined) throw systemError(code, 'unlink');
    await original.unlink(file);
  };
  return { ...original, unlink };
});
vi.mock('node:fs', async (load) => {
  const original = await load<typeof import('node:fs')>();
  const futimes = ((...[descriptor, accessed, modified, done]: Parameters<typeof original.futimes>) => {
    if (refused.times === undefined) original.futimes(descriptor, accessed, modified, done);
    else done(systemError(refused.times, 'futimes'));
  }) as typeof original.futimes;
  return { ...original, futimes };
});

const base = temporaryFolder('cache-refusing');
let count = 0;
function newCache(maxBytes = 1e9) {
  const folder = path.join(base, `cache-${count++}`);
  const room = { free: 2 ** 50, total: 2 ** 50 };
  const cache = new CiphertextCache({ folder, maxBytes, disk: async () => room });
  const entries = path.join(folder, 'big-parts', 'v1');
  return { cache, folder, entries, fileOf: (number: number) => path.join(entries, `${keyOf(number, 0).digest}-${number}`) };
}
const offsets = (entries: readonly { readonly offset: number }[]): number[] => entries.map(({ offset }) => offset).sort();

const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
afterEach(() => {
  refused.unlink.clear();
  refused.times = undefined;
  warnings.mockClear();
});

describe('an entry that cannot be removed', () => {
  it.each([
    ['EACCES', 'PERMISSION_DENIED'],
    ['EBUSY', 'IO_FAILED'],
  ])('for %s is a failure of clear, which removes the rest', async (system, code) => {
    const { cache, fileOf } = newCache();
    for (const number of [1, 2, 3]) await put(cache, keyOf(number, 1000));
    refused.unlink.set(fileOf(2), system);
    const { removed, failures } = await cache.clear();
    expect(offsets(partsOf(removed))).toEqual([1, 3]);
    expect(failures).toMatchObject([{ code, message: expect.stringContaining(`Cannot remove ${fileOf(2)} (${system})`) }]);
    expect(offsets(partsOf(await cache.list()))).toEqual([2]);
  });

  it('never takes the place of what was used last', async () => {
    const { cache, folder, fileOf } = newCache();
    for (const number of [1, 2, 3]) await put(cache, keyOf(number, 1000));
    const [newest, , oldest] = partsOf(await cache.list()).map(({ offset }) => offset) as [number, number, number];
    refused.unlink.set(fileOf(oldest), 'EBUSY');
    await new CiphertextCache({ folder, maxBytes: 1000 }).trim();
    expect(offsets(partsOf(await cache.list()))).toEqual([newest, oldest].sort());
  });

  it('keeps its space in a trim, which removes the next one instead', async () => {
    const { cache, folder, fileOf } = newCache();
    for (const number of [1, 2, 3]) await put(cache, keyOf(number, 1000));
    const [oldest, next] = partsOf(await cache.list())
      .map(({ offset }) => offset)
      .reverse() as [number, number, number];
    refused.unlink.set(fileOf(oldest), 'EBUSY');
    const { removed, failures } = await new CiphertextCache({ folder, maxBytes: 2000 }).trim();
    expect(offsets(partsOf(removed))).toEqual([next]);
    expect(failures).toHaveLength(1);
    expect((await cache.list()).reduce((sum, { size }) => sum + size, 0)).toBe(2000);
  });

  it('is not counted as removed where another process removed it', async () => {
    const { cache, fileOf } = newCache();
    for (const number of [1, 2]) await put(cache, keyOf(number, 1000));
    refused.unlink.set(fileOf(1), 'ENOENT');
    const { removed, failures } = await cache.clear();
    expect([offsets(partsOf(removed)), failures]).toEqual([[2], []]);
  });

  it('is warned about when a part is cached, which goes on', async () => {
    const { cache, fileOf } = newCache(1000);
    await put(cache, keyOf(1, 600));
    refused.unlink.set(fileOf(1), 'EBUSY');
    expect(await put(cache, keyOf(2, 300))).toBe(true);
    expect(warnings).not.toHaveBeenCalled();
    expect(await put(cache, keyOf(3, 600))).toBe(true);
    expect(warnings).toHaveBeenCalledExactlyOnceWith(expect.stringContaining(`Cannot remove ${fileOf(1)}`), expect.anything());
  });

  it('makes the command fail after it has shown what was removed', async () => {
    const { cache, folder, fileOf } = newCache();
    for (const number of [1, 2]) await put(cache, keyOf(number, 1000));
    refused.unlink.set(fileOf(2), 'EACCES');
    const { code, stdout, stderr } = await modelGuard('cache', 'clear', '--cache-folder', folder);
    expect(code).toBe(6);
    expect(stdout).toContain('1 entry removed, 1000 B; 1 could not be removed');
    expect(stderr).toContain('PERMISSION_DENIED');
  });
});

describe('a file system that cannot set times', () => {
  it.each(['EPERM', 'ENOSYS', 'ENOTSUP', 'EROFS', 'EACCES'])('caches and finds parts all the same (%s)', async (system) => {
    const { cache, entries } = newCache();
    refused.times = system;
    const key = keyOf(1, 1000);
    expect(await put(cache, key)).toBe(true);
    const file = await cache.find(key);
    expect(Buffer.compare(readFileSync(file as string), bytesOf(key))).toBe(0);
    expect(await put(cache, key), 'a second time').toBe(true);
    expect(readdirSync(entries)).toHaveLength(1);
    expect(warnings).not.toHaveBeenCalled();
  });
});
