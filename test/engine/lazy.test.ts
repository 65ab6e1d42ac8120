/**
 * Models that stay in their store. If this fails, a read gives other bytes than the publisher signed, fetches far more than it needs, or goes on
 * after the model was disposed of.
 */
import { existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { GuardedFile } from '../../src/engine/file.js';
import {
  fileStore,
  type GuardedModel,
  httpStore,
  type LoadOptions,
  load,
  MasterKey,
  ModelGuardError,
  memoryStore,
  type PartStore,
  protect,
  SigningKey,
  type Stores,
} from '../../src/index.js';
import { codeOf, failureOf } from '../support/failures.js';
import { type Hook, hooked } from '../support/hooked-store.js';
import { remoteStore } from '../support/remote-store.js';
import { s3Lab } from '../support/s3-lab.js';
import { seeded } from '../support/seed.js';
import { type StaticServer, startStaticServer } from '../support/static-server.js';
import { temporaryFolder } from '../support/temp.js';
import { writeSafetensors } from '../support/tensor-files.js';

const MIB = 2 ** 20;
const random = seeded('lazy');
const key = MasterKey.generate();
const signer = SigningKey.generate();
const verifier = signer.publicKey;
const base = temporaryFolder('lazy');
const tensors = [...'abcdefgh'].map((name) => ({ name, dtype: 'U8', shape: [2, MIB], bytes: random.bytes(2 * MIB) }));
const plain = writeSafetensors(tensors);
const model = path.join(base, 'model.safetensors');
writeFileSync(model, plain);

let count = 0;
const newFolder = (): string => path.join(base, `${count++}`);
const publish = (to: PartStore) => protect(model, { name: 'net', version: '1', recipients: [key], signer, to });
async function published(): Promise<{ folder: string; big: string }> {
  const folder = newFolder();
  await publish(fileStore(folder));
  const [name = ''] = readdirSync(path.join(folder, 'big')).filter((file) => !file.endsWith('.tree'));
  return { folder, big: path.join(folder, 'big', name) };
}
const open = (from: Stores, more: Partial<LoadOptions> = {}): Promise<GuardedModel> =>
  load('net@1', { from, identities: [key], verifier, cache: false, lazy: true, ...more });
const readTensor = async (from: GuardedModel, name: string): Promise<Uint8Array> =>
  (await (await from.tensors()).get(name)?.read()) ?? new Uint8Array(0);
const bytesOf = (name: string): Uint8Array => tensors.find((tensor) => tensor.name === name)?.bytes ?? new Uint8Array(1);
const isPlain = (bytes: Uint8Array, offset: number, length: number): boolean =>
  Buffer.compare(bytes, plain.subarray(offset, offset + length)) === 0;

type Read = Awaited<ReturnType<PartStore['openBig']>>['read'];
/** `inner` without its files, whose reads of big parts go through `wrap`. `onClose` is called before a part is closed. */
const readingWith = (inner: PartStore, wrap: (read: Read) => Read, onClose = (): void => {}): PartStore => ({
  ...hooked(inner, () => {}),
  openBig: async (...args) => {
    const part = await inner.openBig(...args);
    return {
      size: part.size,
      tree: () => part.tree(),
      read: wrap((...range) => part.read(...range)),
      close: () => {
        onClose();
        return part.close();
      },
    };
  },
});

/** The store's big part, with a byte changed. */
function damage(big: string, offset: number): void {
  const bytes = readFileSync(big);
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  writeFileSync(big, bytes);
}

let served: { folder: string; big: string };
let server: StaticServer;
beforeAll(async () => {
  served = await published();
  server = await startStaticServer(served.folder);
});
afterAll(() => server.close());
const s3 = s3Lab();

describe('a lazy model', () => {
  const stores: readonly (readonly [string, () => Promise<PartStore> | PartStore])[] = [
    ['a folder', () => fileStore(served.folder)],
    ['a web server', () => httpStore(server.url)],
    [
      'memory',
      async () => {
        const store = memoryStore();
        await publish(store);
        return store;
      },
    ],
    [
      'a bucket',
      async () => {
        const store = s3.storeWith();
        await publish(store);
        return store;
      },
    ],
  ];
  it.each(stores)('in %s reads any range, and tensors by name', async (_, store) => {
    await using lazy = await open(await store());
    expect(lazy.metadata).toMatchObject({ name: 'net', origin: 'verified', format: 'safetensors' });
    for (let round = 0; round < 12; round++) {
      const offset = random.integer(plain.length + 1);
      const length = Math.min(random.integer(3 * MIB), plain.length - offset);
      const bytes = await lazy.read(offset, length);
      expect(isPlain(bytes, offset, length), `${length} bytes from ${offset} on`).toBe(true);
      expect(bytes.byteOffset).toBe(0);
    }
    const end = await lazy.read(plain.length - 1, 1);
    expect(isPlain(end, plain.length - 1, 1)).toBe(true);
    expect((await lazy.read(plain.length, 0)).length).toBe(0);
    const both = await Promise.all(['b', 'h'].map((name) => readTensor(lazy, name)));
    expect(both.map((bytes, i) => Buffer.compare(bytes, bytesOf('bh'[i] ?? '')))).toEqual([0, 0]);
  });

  it('fetches what a read needs, and little more', async () => {
    const before = server.sent();
    await using lazy = await open(httpStore(server.url));
    const opened = server.sent() - before;
    expect(opened, 'manifest, last chunk and tree').toBeLessThan(2 * MIB);
    expect(Buffer.compare(await readTensor(lazy, 'e'), bytesOf('e'))).toBe(0);
    expect(server.sent() - before - opened, 'a tensor of 2 MiB').toBeLessThan(4 * MIB);
  });

  it('has no bytes to show at once', async () => {
    await using lazy = await open(fileStore(served.folder));
    expect(await codeOf(() => lazy.bytes)).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => lazy.use(() => 0))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => lazy.path())).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => open(fileStore(served.folder), { as: 'path' }))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => lazy.read(0, plain.length + 1))).toBe('INVALID_ARGUMENT');
    expect(lazy.protection).toEqual({ locked: false, dontdump: false, hugePages: false, memfd: false });
  });

  it('opens without a verifier where its origin is accepted', async () => {
    await using lazy = await open(httpStore(server.url), { verifier: undefined, unsigned: 'accept' });
    expect(lazy.metadata.origin).toBe('accepted');
    expect(Buffer.compare(await readTensor(lazy, 'c'), bytesOf('c'))).toBe(0);
  });
});

describe('many reads at once', () => {
  it('go to the store in turns', async () => {
    let reading = 0;
    let most = 0;
    const store = readingWith(fileStore(served.folder), (read) => async (...range) => {
      reading += 1;
      most = Math.max(most, reading);
      // The others have these turns to arrive.
      for (let turn = 0; turn < 50; turn += 1) await nextTurn();
      reading -= 1;
      return read(...range);
    });
    await using lazy = await open(store);
    const offsets = Array.from({ length: 15 }, (_, i) => (i + 0.5) * MIB);
    const bytes = await Promise.all(offsets.map((offset) => lazy.read(offset, 1)));
    expect(offsets.every((offset, i) => isPlain(bytes[i] ?? new Uint8Array(0), offset, 1))).toBe(true);
    expect(most).toBeLessThanOrEqual(8);
  });

  it('of one place are one request', async () => {
    let requests = 0;
    const store = readingWith(fileStore(served.folder), (read) => async (...range) => {
      requests += 1;
      await nextTurn();
      return read(...range);
    });
    await using lazy = await open(store);
    requests = 0;
    const all = await Promise.all(Array.from({ length: 100 }, () => lazy.read(9.5 * MIB, 10)));
    expect(all.every((bytes) => isPlain(bytes, 9.5 * MIB, 10))).toBe(true);
    expect(requests).toBe(1);
  });
});

describe('damage', () => {
  it.each([
    ['a folder', (folder: string) => fileStore(folder)],
    ['a stream', (folder: string) => hooked(fileStore(folder), () => {}, { streamed: true })],
  ])('in %s is refused where it is read, and only there', async (_, store) => {
    const { folder, big } = await published();
    damage(big, 9 * MIB);
    await using lazy = await open(store(folder));
    expect(Buffer.compare(await readTensor(lazy, 'b'), bytesOf('b'))).toBe(0);
    expect(await codeOf(() => readTensor(lazy, 'e'))).toBe('DIGEST_MISMATCH');
    damage(big, 9 * MIB);
    expect(Buffer.compare(await readTensor(lazy, 'h'), bytesOf('h'))).toBe(0);
  });

  it('is found at opening where there is no tree', async () => {
    const { folder, big } = await published();
    rmSync(`${big}.tree`);
    await using lazy = await open(fileStore(folder));
    expect(Buffer.compare(await readTensor(lazy, 'e'), bytesOf('e'))).toBe(0);
    damage(big, 9 * MIB);
    expect(await codeOf(() => open(fileStore(folder)))).toBe('DIGEST_MISMATCH');
  });

  it('of the tree alone changes nothing', async () => {
    const { folder, big } = await published();
    damage(`${big}.tree`, 5);
    await using lazy = await open(fileStore(folder));
    expect(Buffer.compare(await readTensor(lazy, 'a'), bytesOf('a'))).toBe(0);
  });
});

describe('a store that goes away', () => {
  const gone = new ModelGuardError('SERVER_UNREACHABLE', 'The line is cut');
  it('fails the read with its own error, and later reads succeed again', async () => {
    let away = false;
    const hook: Hook = (operation) => {
      if (away && operation === 'read') throw gone;
    };
    await using lazy = await open(hooked(fileStore(served.folder), hook, { streamed: true }));
    away = true;
    expect(await failureOf(() => lazy.read(8 * MIB, 10))).toBe(gone);
    away = false;
    expect(isPlain(await lazy.read(8 * MIB, 10), 8 * MIB, 10)).toBe(true);
  });

  it('is not asked again for a table that was read', async () => {
    await using lazy = await open(fileStore(served.folder));
    const reads = vi.spyOn(GuardedFile.prototype, 'read');
    try {
      expect([...(await lazy.tensors()).keys()]).toEqual([...'abcdefgh']);
      expect(reads.mock.calls.filter(([, length]) => length === 0)).toEqual([]);
    } finally {
      reads.mockRestore();
    }
  });

  it('is closed when opening fails', async () => {
    let closed = 0;
    const refusing = () => () => Promise.reject(gone);
    const store = readingWith(fileStore(served.folder), refusing, () => {
      closed += 1;
    });
    expect(await failureOf(() => open(store))).toBe(gone);
    expect(closed).toBe(1);
  });
});

describe('dispose()', () => {
  it('rejects reads in flight, wipes what was read, and closes the part', async () => {
    let closed = 0;
    let reached = (): void => {};
    const held = new Promise<void>((resolve) => {
      reached = resolve;
    });
    let hold = false;
    const holding = (read: Read): Read => {
      return async (...range) => {
        if (!hold) return read(...range);
        reached();
        return await new Promise<never>(() => {});
      };
    };
    const store = readingWith(fileStore(served.folder), holding, () => {
      closed += 1;
    });
    const lazy = await open(store);
    const bytes = await readTensor(lazy, 'a');
    hold = true;
    const reading = codeOf(() => lazy.read(9 * MIB, 100));
    await held;
    await lazy[Symbol.asyncDispose]();
    expect(await reading).toBe('DISPOSED');
    expect(closed).toBe(1);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    expect(await codeOf(() => lazy.read(0, 1))).toBe('DISPOSED');
    lazy.dispose();
  });

  it('during a read of a file rejects it or lets it end, and the next is refused', async () => {
    const lazy = await open(fileStore(served.folder));
    const reading = codeOf(() => lazy.read(0, 8 * MIB));
    lazy.dispose();
    expect(await reading).toBe('DISPOSED');
    expect(await codeOf(() => lazy.tensors())).toBe('DISPOSED');
    expect(await codeOf(() => lazy.protection)).toBe('DISPOSED');
    expect(await codeOf(() => lazy.bytes)).toBe('DISPOSED');
    expect(await failureOf(() => lazy.read(0, 1))).toMatchObject({
      message: expect.stringMatching(/^The model was disposed of/),
    });
    await lazy[Symbol.asyncDispose]();
  });
});

describe('the cache', () => {
  const entries = (folder: string): readonly string[] =>
    existsSync(folder)
      ? readdirSync(folder, { recursive: true, encoding: 'utf8' })
          .filter((name) => /[0-9a-f]{64}/.test(name))
          .map((name) => path.join(folder, name))
      : [];
  async function cachedModel() {
    const store = remoteStore();
    await publish(store);
    const cache = { folder: newFolder() };
    const fill = async (): Promise<string> => {
      using whole = await open(store, { cache, lazy: false });
      expect(Buffer.compare(whole.bytes, plain)).toBe(0);
      return entries(cache.folder)[0] ?? '';
    };
    const away: Stores = { small: store, big: { ...store, openBig: () => Promise.reject(new Error('no network')) } as PartStore };
    return { store, away, cache, fill };
  }

  it('serves a part that it has, without its store, and is not filled', async () => {
    const { store, away, cache, fill } = await cachedModel();
    await using first = await open(store, { cache });
    expect(Buffer.compare(await readTensor(first, 'd'), bytesOf('d'))).toBe(0);
    expect(entries(cache.folder)).toEqual([]);
    await fill();
    expect(entries(cache.folder)).toHaveLength(1);
    await using offline = await open(away, { cache });
    expect(Buffer.compare(await readTensor(offline, 'd'), bytesOf('d'))).toBe(0);
  });

  it('serves on where its entry is used elsewhere, and where it is evicted', async () => {
    const { away, cache, fill } = await cachedModel();
    const entry = await fill();
    await using offline = await open(away, { cache });
    utimesSync(entry, 1e9, 1e9);
    expect(Buffer.compare(await readTensor(offline, 'd'), bytesOf('d')), 'used').toBe(0);
    rmSync(cache.folder, { recursive: true });
    expect(Buffer.compare(await readTensor(offline, 'e'), bytesOf('e')), 'evicted').toBe(0);
  });

  it('loses a damaged entry with a warning, whenever the damage shows, and the store serves', async () => {
    const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const { store, cache, fill } = await cachedModel();
    const damaged = [
      expect.stringMatching(/is damaged \(DIGEST_MISMATCH\)/),
      expect.objectContaining({ code: 'MODEL_GUARD_CACHE_UNUSED' }),
    ];
    try {
      damage(await fill(), 9 * MIB);
      await using opened = await open(store, { cache });
      expect(warnings.mock.calls).toEqual([damaged]);
      expect(entries(cache.folder)).toEqual([]);
      expect(Buffer.compare(await readTensor(opened, 'e'), bytesOf('e'))).toBe(0);
    } finally {
      warnings.mockRestore();
    }
    const entry = await fill();
    await using later = await open(store, { cache });
    damage(entry, 9 * MIB);
    expect(Buffer.compare(await readTensor(later, 'e'), bytesOf('e'))).toBe(0);
    expect(entries(cache.folder)).toEqual([]);
    expect(Buffer.compare(await readTensor(later, 'e'), bytesOf('e'))).toBe(0);
  });
});
