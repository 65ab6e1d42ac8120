/** The cache by itself: what it keeps, what it forgets, and what it will not touch. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { CiphertextCache } from '../../src/cache/cache.js';
import type { CacheKey } from '../../src/cache/entry.js';
import { CacheFolder } from '../../src/cache/folder.js';
import { CACHE_UNUSED_WARNING } from '../../src/cache/warn.js';
import { bytesOf, keyOf, partsOf, put } from '../support/cached-parts.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('cache');
const random = seeded('cache');
const GIB = 1024 ** 3;
const HOUR = 60 * 60 * 1000;

let count = 0;
function newCache({ maxBytes = 10 * GIB, free = 100 * GIB, total = 1000 * GIB, assumed = false } = {}) {
  const folder = path.join(base, `cache-${count++}`);
  const disk = { free, total };
  const cache = new CiphertextCache({ folder, maxBytes, assumed, disk: async () => disk });
  return { cache, folder, entries: path.join(folder, 'big-parts', 'v1'), disk };
}
const fileOf = (entries: string, { digest, offset }: CacheKey): string => path.join(entries, `${digest}-${offset}`);
const holds = (file: string | undefined, key: CacheKey): boolean =>
  file !== undefined && Buffer.compare(readFileSync(file), bytesOf(key)) === 0;
/** Sets when an entry was used, in hours before now. */
const usedBefore = (file: string, hours: number): void => {
  const at = new Date(Date.now() - hours * HOUR);
  utimesSync(file, at, at);
};

const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
const warned = (): string[] => warnings.mock.calls.map(([text]) => String(text));
afterEach(() => warnings.mockClear());

describe('a part', () => {
  it('comes back as it was written, in any order and in part twice, and only when it is whole', async () => {
    const { cache, entries } = newCache();
    const key = keyOf(1, 5_000_000);
    const bytes = bytesOf(key);
    expect(await cache.find(key)).toBeUndefined();
    const writer = await cache.begin(key);
    const pieces: number[] = [];
    for (let at = 0; at < key.size; at += 70_001) pieces.push(at);
    const order = random.shuffle([...pieces, ...pieces.slice(0, 5)]);
    await Promise.all(order.map((at) => writer?.write(at, bytes.subarray(at, at + 70_001))));
    expect(await cache.find(key), 'before it is committed').toBeUndefined();
    expect(await writer?.commit()).toBe(true);
    expect(holds(await cache.find(key), key)).toBe(true);
    expect(readdirSync(entries), 'nothing else is left').toEqual([`${key.digest}-${key.offset}`]);
    expect(warned()).toEqual([]);
  });

  it('is not waited for until it is on the disk', async () => {
    const handle = await open(import.meta.filename);
    const syncs = vi.spyOn(Object.getPrototypeOf(handle) as FileHandle, 'sync');
    await handle.close();
    try {
      expect(await put(newCache().cache, keyOf(1, 1000))).toBe(true);
      expect(syncs).not.toHaveBeenCalled();
    } finally {
      syncs.mockRestore();
    }
  });

  it('is for this user alone', async () => {
    const { cache, folder, entries } = newCache();
    const key = keyOf(1, 1000);
    await put(cache, key);
    for (const one of [folder, path.dirname(entries), entries]) expect(statSync(one).mode & 0o777).toBe(0o700);
    expect(statSync(fileOf(entries, key)).mode & 0o777).toBe(0o600);
  });

  it('is not kept when a byte is missing, or when the load fails', async () => {
    const { cache, entries } = newCache();
    const key = keyOf(1, 1000);
    const holed = await cache.begin(key);
    await holed?.write(0, bytesOf(key).subarray(0, 499));
    await holed?.write(500, bytesOf(key).subarray(500));
    expect(await holed?.commit()).toBe(false);
    const failed = await cache.begin(key);
    await failed?.write(0, bytesOf(key));
    await failed?.abandon();
    expect(await failed?.commit()).toBe(false);
    expect(readdirSync(entries)).toEqual([]);
    expect(await cache.find(key)).toBeUndefined();
  });

  it('counts as it was written last: a store that sent damage is asked again', async () => {
    const { cache } = newCache();
    const key = keyOf(1, 1000);
    const writer = await cache.begin(key);
    await writer?.write(0, new Uint8Array(1000));
    await writer?.write(0, bytesOf(key));
    await writer?.commit();
    expect(holds(await cache.find(key), key)).toBe(true);
  });

  it('that two fetch at once is kept once, and whole', async () => {
    const { cache, entries } = newCache();
    const key = keyOf(1, 1000);
    const both = await Promise.all([cache.begin(key), cache.begin(key)]);
    await Promise.all(both.map((writer) => writer?.write(0, bytesOf(key))));
    expect(await Promise.all(both.map((writer) => writer?.commit()))).toEqual([true, true]);
    expect(holds(await cache.find(key), key)).toBe(true);
    expect(readdirSync(entries)).toHaveLength(1);
  });

  it('with bytes beyond its end is given up', async () => {
    const { cache, entries } = newCache();
    const writer = await cache.begin(keyOf(1, 1000));
    await writer?.write(999, new Uint8Array(2));
    expect(await writer?.commit()).toBe(false);
    expect(readdirSync(entries)).toEqual([]);
  });
});

describe('the limit', () => {
  it('is kept by removing what was used least recently', async () => {
    const { cache, entries } = newCache({ maxBytes: 3000 });
    const [a, b, c, d] = [keyOf(1, 1000), keyOf(2, 1000), keyOf(3, 1000), keyOf(4, 1000)];
    for (const key of [a, b, c]) await put(cache, key);
    usedBefore(fileOf(entries, a), 3);
    usedBefore(fileOf(entries, b), 2);
    usedBefore(fileOf(entries, c), 1);
    expect(await cache.find(a), 'a use').toBeDefined();
    await put(cache, d);
    expect(
      partsOf(await cache.list())
        .map(({ offset }) => offset)
        .sort(),
    ).toEqual([a, c, d].map(({ offset }) => offset));
    for (const key of [a, c, d]) usedBefore(fileOf(entries, key), 1);
    await put(cache, keyOf(5, 2500));
    expect(partsOf(await cache.list()).map(({ offset }) => offset)).toEqual([5]);
  });

  it('keeps no part that is larger, and loses nothing for it', async () => {
    const { cache } = newCache({ maxBytes: 3000 });
    await put(cache, keyOf(1, 3000));
    expect(await cache.begin(keyOf(2, 3001))).toBeUndefined();
    expect(await cache.list()).toHaveLength(1);
    expect(warned()).toEqual([expect.stringContaining('3001 bytes are more than the cache may hold')]);
  });

  it.each(Array.from({ length: 20 }, (_, run) => run))('holds whatever is done in whatever order (%i)', async () => {
    const maxBytes = 1000 + random.integer(4000);
    const { cache, entries } = newCache({ maxBytes });
    const keys = Array.from({ length: 8 }, (_, at) => keyOf(at, 1 + random.integer(maxBytes + 200)));
    /** Names, the least recently used first. */
    let expected: CacheKey[] = [];
    for (let step = 0; step < 15; step += 1) {
      const key = random.pick(keys);
      const found = await cache.find(key);
      expect(found !== undefined, `part ${key.offset} in step ${step}`).toBe(expected.includes(key));
      if (found === undefined && !(await put(cache, key))) continue;
      expected = [...expected.filter((one) => one !== key), key];
      while (expected.reduce((sum, { size }) => sum + size, 0) > maxBytes) expected.shift();
      // A clock that is finer than these steps.
      for (const [at, one] of expected.entries()) usedBefore(fileOf(entries, one), 100 - at);
    }
    expect(
      partsOf(await cache.list())
        .map(({ offset }) => offset)
        .reverse(),
    ).toEqual(expected.map(({ offset }) => offset));
  });
});

describe('the disk', () => {
  it('keeps 1 GiB and 5 % free', async () => {
    for (const [free, total, fits] of [
      [GIB + 1000, 2 * GIB, true],
      [GIB + 999, 2 * GIB, false],
      [50 * GIB + 1000, 1000 * GIB, true],
      [50 * GIB + 999, 1000 * GIB, false],
    ] as const) {
      const { cache } = newCache({ free, total });
      expect(await put(cache, keyOf(1, 1000)), `${free} of ${total} bytes`).toBe(fits);
    }
    expect(warned()).toEqual([expect.stringContaining('is too full'), expect.stringContaining('is too full')]);
  });

  it('is looked at again while a part comes in, which is given up when others fill it', async () => {
    const { cache, entries, disk } = newCache();
    const key = keyOf(1, 200 * 1024 * 1024);
    const writer = await cache.begin(key);
    disk.free = 0;
    const piece = new Uint8Array(32 * 1024 * 1024);
    await writer?.write(0, piece);
    expect(readdirSync(entries)).toHaveLength(1);
    await writer?.write(piece.length, piece);
    expect(readdirSync(entries)).toEqual([]);
    await writer?.write(2 * piece.length, piece);
    expect(await writer?.commit()).toBe(false);
    expect(warned()).toHaveLength(1);
  });
});

describe('what a crash left', () => {
  it('goes when nobody has written to it for an hour, and nothing else goes with it', async () => {
    const { cache, entries } = newCache();
    await put(cache, keyOf(1, 1000));
    const left = path.join(entries, `.tmp-${'a'.repeat(24)}`);
    const foreign = path.join(entries, 'notes.txt');
    writeFileSync(left, 'half a part');
    writeFileSync(foreign, '');
    usedBefore(foreign, 5);
    usedBefore(left, 0.9);
    await cache.trim();
    expect(existsSync(left), 'of somebody who still writes').toBe(true);
    usedBefore(left, 1.1);
    const writer = await cache.begin(keyOf(2, 1000));
    expect(existsSync(left), 'before the disk is looked at').toBe(false);
    await writer?.abandon();
    expect(existsSync(foreign)).toBe(true);
    expect(await cache.list()).toHaveLength(1);
  });

  it('does not hide that a part was half written: it is no entry', async () => {
    const { cache } = newCache();
    const key = keyOf(1, 1000);
    const writer = await cache.begin(key);
    await writer?.write(0, bytesOf(key).subarray(0, 600));
    expect(await cache.list()).toEqual([]);
    await writer?.abandon();
  });
});

describe('an entry', () => {
  it('of another size is removed', async () => {
    const { cache, entries } = newCache();
    const key = keyOf(1, 1000);
    await put(cache, key);
    writeFileSync(fileOf(entries, key), bytesOf(key).subarray(0, 999));
    expect(await cache.find(key)).toBeUndefined();
    expect(readdirSync(entries)).toEqual([]);
    expect(warned()).toEqual([]);
  });

  it.each(['9007199254740993', '1000000000000000', '01', '-1', '1.5'])(
    'has a number that is exact: a file with the number %s is foreign, and stays',
    async (number) => {
      const { cache, entries } = newCache({ maxBytes: 0 });
      await new CacheFolder(cache.folder).make();
      const [file, largest] = [number, '999999999999999'].map((name) => path.join(entries, `${'a'.repeat(64)}-${name}`));
      writeFileSync(file as string, 'foreign');
      writeFileSync(largest as string, 'an entry');
      expect(partsOf(await cache.list()).map(({ offset }) => offset)).toEqual([999_999_999_999_999]);
      expect((await cache.trim()).removed).toMatchObject([{ size: 8 }]);
      await cache.clear();
      expect([existsSync(file as string), existsSync(largest as string)]).toEqual([true, false]);
    },
  );

  it('that is a link or a folder is not used, and a link is replaced', async () => {
    const { cache, entries, folder } = newCache();
    const [linked, folded] = [keyOf(1, 1000), keyOf(2, 1000)];
    await put(cache, keyOf(3, 1000));
    const target = path.join(folder, 'elsewhere');
    writeFileSync(target, bytesOf(linked));
    symlinkSync(target, fileOf(entries, linked));
    mkdirSync(fileOf(entries, folded));
    expect(await cache.find(linked)).toBeUndefined();
    expect(await cache.find(folded)).toBeUndefined();
    expect(warned()).toHaveLength(2);
    expect(await put(cache, linked)).toBe(true);
    expect(holds(await cache.find(linked), linked)).toBe(true);
    expect(readFileSync(target), 'what it pointed to').toEqual(Buffer.from(bytesOf(linked)));
    expect(await put(cache, folded)).toBe(false);
  });

  it('is used even where its use cannot be noted', async () => {
    const { cache, entries } = newCache();
    const key = keyOf(1, 1000);
    await put(cache, key);
    chmodSync(fileOf(entries, key), 0o400);
    expect(holds(await cache.find(key), key)).toBe(true);
  });
});

describe('a folder', () => {
  it.each(['.', 'big-parts', 'big-parts/v1'])('that is a link is not used (%s)', async (below) => {
    const { cache, folder } = newCache();
    const target = path.join(base, `target-${count++}`);
    mkdirSync(target);
    const link = path.join(folder, below);
    mkdirSync(path.dirname(link), { recursive: true });
    symlinkSync(target, link);
    const key = keyOf(1, 1000);
    expect(await cache.find(key)).toBeUndefined();
    expect(await put(cache, key)).toBe(false);
    expect(readdirSync(target), 'nothing is written through the link').toEqual([]);
    expect(warned()).toEqual([expect.stringContaining(`${link} is a symbolic link`)]);
    expect(warnings).toHaveBeenCalledWith(expect.anything(), { type: 'ModelGuardWarning', code: CACHE_UNUSED_WARNING });
    await expect(cache.list()).rejects.toMatchObject({ code: 'SOURCE_UNSUPPORTED' });
  });

  it.skipIf(process.geteuid?.() !== 0)('or an entry that another user owns is not used', async () => {
    const { cache, entries, folder } = newCache();
    const key = keyOf(1, 1000);
    await put(cache, key);
    chownSync(fileOf(entries, key), 12_345, 12_345);
    expect(await cache.find(key)).toBeUndefined();
    chownSync(folder, 12_345, 12_345);
    expect(await cache.find(key)).toBeUndefined();
    expect(await cache.begin(key)).toBeUndefined();
    expect(warned()).toEqual([
      expect.stringContaining(`${fileOf(entries, key)} belongs to another user`),
      expect.stringContaining(`${folder} belongs to another user`),
    ]);
    await expect(cache.clear()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(existsSync(fileOf(entries, key))).toBe(true);
  });

  it('that cannot be made is told, each once, and stops nothing', async () => {
    const file = path.join(base, 'a-file');
    writeFileSync(file, '');
    const cache = new CiphertextCache({ folder: path.join(file, 'cache'), maxBytes: GIB });
    for (let times = 0; times < 3; times += 1) {
      expect(await cache.find(keyOf(1, 1000))).toBeUndefined();
      expect(await cache.begin(keyOf(1, 1000))).toBeUndefined();
    }
    expect(warned()).toEqual([expect.stringContaining(`Cannot look up ${cache.folder} (ENOTDIR)`)]);
  });

  // Nobody may make a folder there, root included; sysfs says EPERM.
  it.skipIf(!existsSync('/sys/kernel'))('that nobody chose and that cannot be made is no news', async () => {
    for (const assumed of [true, false]) {
      const cache = new CiphertextCache({ folder: `/sys/kernel/model-guard-${assumed}`, maxBytes: GIB, assumed });
      expect(await cache.find(keyOf(1, 1000))).toBeUndefined();
      expect(await cache.begin(keyOf(1, 1000))).toBeUndefined();
      expect(warned()).toHaveLength(assumed ? 0 : 1);
    }
  });
});

describe('removing', () => {
  it('everything leaves nothing, not even what is being written', async () => {
    const { cache, entries } = newCache();
    await put(cache, keyOf(1, 1000));
    await put(cache, keyOf(2, 2000));
    const key = keyOf(3, 1000);
    const writer = await cache.begin(key);
    const { removed, failures } = await cache.clear();
    expect(removed.map(({ size }) => size).sort()).toEqual([1000, 2000]);
    expect(failures).toEqual([]);
    expect(readdirSync(entries)).toEqual([]);
    await writer?.write(0, bytesOf(key));
    expect(await writer?.commit(), 'its file is gone').toBe(false);
    expect(await cache.find(key)).toBeUndefined();
  });

  it('from a cache that was never used is no error', async () => {
    const { cache } = newCache();
    expect(await cache.list()).toEqual([]);
    expect(await cache.trim()).toMatchObject({ removed: [], failures: [] });
    expect(await cache.clear()).toMatchObject({ removed: [], failures: [] });
    await cache.drop(keyOf(1, 1000));
    expect(existsSync(cache.folder)).toBe(false);
  });
});
