/** Loading by way of the cache: what came over a network once is not fetched again, and nothing wrong ever comes of it. */
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { CiphertextCache } from '../../src/cache/cache.js';
import {
  DeviceKey,
  fileStore,
  type LoadOptions,
  load,
  MasterKey,
  memoryStore,
  type PartStore,
  protect,
  rekey,
  rewrap,
  SigningKey,
  type Stores,
  verify,
} from '../../src/index.js';
import { bigPartOf } from '../../src/stores/parts.js';
import { failureOf } from '../support/failures.js';
import { Needles } from '../support/needles.js';
import { type RemoteStore, remoteStore } from '../support/remote-store.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('cached-load');
const random = seeded('loading with a cache');
const device = DeviceKey.generate();
const signer = SigningKey.generate();
const verifier = signer.publicKey;
const SIZE = 3_000_001;
const plain = random.bytes(SIZE);
const file = path.join(base, 'net.onnx');
writeFileSync(file, plain);
const store = remoteStore();

let count = 0;
const newFolder = (): string => path.join(base, `cache-${count++}`);
const entriesOf = (folder: string): string => path.join(folder, 'big-parts', 'v1');
const keptIn = (folder: string): string[] => (existsSync(entriesOf(folder)) ? readdirSync(entriesOf(folder)) : []);
const entryIn = (folder: string): string => {
  const [name = 'none', ...more] = keptIn(folder);
  expect(more, 'one entry').toEqual([]);
  return path.join(entriesOf(folder), name);
};
const options = (folder: string, from: Stores = store): LoadOptions => ({
  from,
  identities: [device],
  verifier,
  cache: { folder },
});
/** Loads net@1, which must be right. */
async function loads(loading: LoadOptions, expected = plain): Promise<void> {
  using model = await load('net@1', loading);
  expect(Buffer.compare(model.bytes, expected), 'what was loaded').toBe(0);
}
/** The small part is there, the network is not. */
const offline = (from: RemoteStore = store): Stores => ({
  small: from,
  big: { ...from, openBig: () => Promise.reject(new Error('there is no network')) } as PartStore,
});

const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
const warned = (): string[] => warnings.mock.calls.map(([text]) => String(text));

beforeAll(() => protect(file, { name: 'net', version: '1', recipients: [device.publicKey], signer, to: store }));
afterEach(() => {
  Object.assign(store, { opened: 0, onRead: undefined, pieceBytes: undefined });
  warnings.mockClear();
});

describe('a big part that came over a network', () => {
  it('is kept, and a second load needs the small part alone', async () => {
    const folder = newFolder();
    await loads(options(folder));
    expect(store.opened).toBe(1);
    await loads(options(folder, offline()));
    await loads({ ...options(folder, offline()), verifier: undefined, unsigned: 'accept' });
    expect(store.opened).toBe(1);
    expect(warned()).toEqual([]);
  });

  it('is kept without a verifier, too, and whoever has one verifies it', async () => {
    const folder = newFolder();
    await loads({ ...options(folder), verifier: undefined, unsigned: 'accept' });
    await loads(options(folder, offline()));
  });

  it('is kept as it came: ciphertext, and nothing else is in the folder', async () => {
    const folder = newFolder();
    await loads(options(folder));
    const { name, size } = bigPartOf(await store.getSmall({ name: 'net', version: '1' }));
    const sealed = await (await store.openBig({ name: 'net', version: '1' }, name)).read(0, size);
    expect(Buffer.compare(readFileSync(entryIn(folder)), sealed as Uint8Array)).toBe(0);
    const needles = new Needles();
    for (let at = 0; at + 32 < SIZE; at += 4_099) needles.addRaw(`plaintext at ${at}`, plain.slice(at, at + 32));
    const found: string[] = [];
    for (const name of keptIn(folder)) needles.scan(readFileSync(path.join(entriesOf(folder), name)), (what) => found.push(what));
    expect(found).toEqual([]);
    needles.scan(readFileSync(file), (what) => found.push(what));
    expect(found.length, 'the search finds what it looks for').toBeGreaterThan(1000);
  });

  it('serves other recipients of the same payload', async () => {
    const folder = newFolder();
    await loads(options(folder));
    const other = MasterKey.generate();
    const small = await rewrap(await store.getSmall({ name: 'net', version: '1' }), {
      identities: [device],
      recipients: [other],
    });
    const smalls = memoryStore();
    await smalls.putSmall({ name: 'net', version: '1' }, small);
    await loads({ ...options(folder, { ...offline(), small: smalls }), identities: [other] });
  });

  it('is not taken for that of another encryption under the same name', async () => {
    const folder = newFolder();
    const from = remoteStore();
    const master = MasterKey.generate();
    await protect(file, { name: 'net', version: '1', recipients: [master], signer, to: from });
    const loading = { ...options(folder, from), identities: [master] };
    await loads(loading);
    await rekey('net@1', { store: from, identities: [master], verifier, recipients: [master], signer });
    await loads(loading);
    expect(from.opened, 'rekey reads past the cache').toBe(3);
    expect(keptIn(folder)).toHaveLength(2);
    await loads({ ...loading, from: offline(from) });
  });

  it('that others fetch at the same time is right for each, and kept once', async () => {
    const folder = newFolder();
    await Promise.all(Array.from({ length: 4 }, () => loads(options(folder))));
    expect(statSync(entryIn(folder)).size).toBeGreaterThan(SIZE);
    await loads(options(folder, offline()));
  });

  it('is kept where a store hands it out in pieces', async () => {
    const folder = newFolder();
    store.pieceBytes = 10_007;
    await loads(options(folder));
    await loads(options(folder, offline()));
  });
});

describe('what is damaged in the cache', () => {
  const damages: readonly [string, (entry: string, other: string) => void][] = [
    ['a byte', (entry) => flip(entry, [random.integer(SIZE)])],
    ['the first byte', (entry) => flip(entry, [0])],
    ['the last byte', (entry) => flip(entry, [statSync(entry).size - 1])],
    [
      'many bytes',
      (entry) =>
        flip(
          entry,
          Array.from({ length: 200 }, () => random.integer(SIZE)),
        ),
    ],
    ['every byte', (entry) => writeFileSync(entry, random.bytes(statSync(entry).size))],
    ['its end', (entry) => truncateSync(entry, statSync(entry).size - 1)],
    ['all of it', (entry) => truncateSync(entry, 0)],
    ['zeros in a row, as after a power cut', (entry) => flip(entry, [], 1_000_000)],
    ['another part of the same size', (entry, other) => copyFileSync(other, entry)],
  ];

  it.each(damages)('(%s) is fetched again, and then kept again', async (_, damage) => {
    const [folder, elsewhere] = [newFolder(), newFolder()];
    const other = remoteStore();
    await protect(file, { name: 'net', version: '1', recipients: [device.publicKey], signer, to: other });
    await loads(options(elsewhere, other));
    await loads(options(folder));
    const entry = entryIn(folder);
    const right = readFileSync(entry);
    for (const unsigned of [false, true]) {
      damage(entry, entryIn(elsewhere));
      store.opened = 0;
      await loads(unsigned ? { ...options(folder), verifier: undefined, unsigned: 'accept' } : options(folder));
      expect(store.opened).toBe(1);
      expect(readFileSync(entry).equals(right), 'what is kept now').toBe(true);
    }
    expect(warned().every((text) => text.includes('the big part is fetched again'))).toBe(true);
    await loads(options(folder, offline()));
  });

  it('is dropped even where it cannot be fetched again, and the error is that of the network', async () => {
    const folder = newFolder();
    await loads(options(folder));
    flip(entryIn(folder), [1000]);
    expect(await failureOf(() => load('net@1', options(folder, offline())))).toMatchObject({ code: 'IO_FAILED' });
    expect(keptIn(folder)).toEqual([]);
  });
});

function flip(entry: string, places: readonly number[], zeros = 0): void {
  const bytes = readFileSync(entry);
  for (const at of places) bytes[at] = (bytes[at] ?? 0) ^ random.mask();
  bytes.fill(0, 500_000, 500_000 + zeros);
  writeFileSync(entry, bytes);
}

describe('nothing is kept', () => {
  it('of a store on this machine, of a load without a cache, of a part that is too large', async () => {
    const folder = newFolder();
    for (const local of [fileStore(path.join(base, 'local')), memoryStore()]) {
      await protect(file, { name: 'net', version: '1', recipients: [device.publicKey], signer, to: local });
      await loads(options(folder, local));
    }
    await loads({ ...options(folder), cache: false });
    await loads({ ...options(folder), cache: { folder, maxBytes: SIZE } });
    expect(existsSync(folder)).toBe(false);
    expect(store.opened).toBe(2);
  });

  it('of a load that fails: damage, a connection that breaks, an abort', async () => {
    const folder = newFolder();
    store.onRead = (bytes, offset) => (offset > 1_500_000 ? bytes.map((byte) => byte ^ 1) : bytes);
    expect(['INTEGRITY_FAILED', 'DIGEST_MISMATCH']).toContain((await failureOf(() => load('net@1', options(folder)))).code);
    store.onRead = (bytes, offset) => {
      if (offset > 1_500_000) throw new Error('the connection broke');
      return bytes;
    };
    expect(await failureOf(() => load('net@1', options(folder)))).toMatchObject({ code: 'IO_FAILED' });
    const stopping = new AbortController();
    store.onRead = (bytes, offset) => {
      if (offset > 1_500_000) stopping.abort(new Error('enough'));
      return bytes;
    };
    expect(await failureOf(() => load('net@1', { ...options(folder), signal: stopping.signal }))).toMatchObject({
      code: 'ABORT_ERR',
    });
    expect(keptIn(folder)).toEqual([]);
    store.onRead = undefined;
    await loads(options(folder));
  });

  it('by a progress callback that throws, which is not taken for damage', async () => {
    const folder = newFolder();
    await loads(options(folder));
    const enough = new Error('enough');
    const onProgress = () => {
      throw enough;
    };
    await expect(load('net@1', { ...options(folder, offline()), onProgress })).rejects.toBe(enough);
    expect(keptIn(folder)).toHaveLength(1);
  });

  it('for verify: it looks at what is published', async () => {
    const folder = newFolder();
    await loads(options(folder));
    expect((await failureOf(() => verify({ ref: 'net@1', from: offline() }, { verifier }))).code).toBe('IO_FAILED');
  });
});

describe('a cache that does not work', () => {
  it('is told and fails no load', async () => {
    const folder = path.join(base, 'a-file');
    writeFileSync(folder, '');
    await loads(options(folder));
    expect(warned()).toEqual([expect.stringContaining(folder)]);
    expect(store.opened).toBe(1);
  });

  it('that forgets a part before it is opened costs a fetch', async () => {
    const folder = newFolder();
    await loads(options(folder));
    const find = CiphertextCache.prototype.find;
    const finding = vi.spyOn(CiphertextCache.prototype, 'find').mockImplementationOnce(async function (
      this: CiphertextCache,
      key,
    ) {
      const found = await find.call(this, key);
      rmSync(found ?? '');
      return found;
    });
    await loads(options(folder));
    expect(finding).toHaveBeenCalled();
    finding.mockRestore();
    expect(store.opened).toBe(2);
    expect(warned()).toEqual([]);
    await loads(options(folder, offline()));
  });

  it('that is cleared while a part comes in costs nothing but the part', async () => {
    const folder = newFolder();
    const cache = new CiphertextCache({ folder, maxBytes: 1e9 });
    store.onRead = async (bytes) => {
      await cache.clear();
      return bytes;
    };
    await loads(options(folder));
    expect(keptIn(folder)).toEqual([]);
  });
});
