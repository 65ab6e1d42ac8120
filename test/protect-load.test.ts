/** Models go in and come out the same, from every kind of store; what goes wrong leaves the store as it was. */
import { chmodSync, linkSync, mkdirSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type BigPartSource,
  DeviceKey,
  fileStore,
  type LoadOptions,
  load,
  MasterKey,
  memoryStore,
  type OpenBigPart,
  type PartStore,
  type Progress,
  type ProtectOptions,
  passphrase,
  protect,
  rekey,
  rewrap,
  SigningKey,
  type Stores,
} from '../src/index.js';
import { failureOf } from './support/failures.js';
import { seeded } from './support/seed.js';
import { temporaryFolder } from './support/temp.js';

const base = temporaryFolder('protect-load');
const random = seeded('protect and load');
const master = MasterKey.generate();
const device = DeviceKey.generate();
const signer = SigningKey.generate();
const verifier = signer.publicKey;
const plain = random.bytes(3_000_001);
const file = path.join(base, 'net.onnx');
writeFileSync(file, plain);
const folder = path.join(base, 'net');
mkdirSync(path.join(folder, 'weights'), { recursive: true });
const FILES = new Map([
  ['config.json', new TextEncoder().encode('{}')],
  ['empty', new Uint8Array()],
  ['weights/a.bin', random.bytes(16_384)],
  ['weights/b.bin', random.bytes(70_001)],
]);
for (const [name, bytes] of FILES) writeFileSync(path.join(folder, name), bytes);

let count = 0;
const newFolder = (): string => path.join(base, `store-${count++}`);

/** What a store over a network looks like: no files, no local target. */
function remote(): PartStore {
  const inner = memoryStore();
  return {
    getSmall: (...args) => inner.getSmall(...args),
    putSmall: (...args) => inner.putSmall(...args),
    putBig: (...args) => inner.putBig(...args),
    list: (...args) => inner.list(...args),
    collect: (...args) => inner.collect(...args),
    openBig: async (...args): Promise<OpenBigPart> => {
      const part = await inner.openBig(...args);
      return { ...part, read: async (offset, length) => (await part.read(offset, length)).slice() };
    },
  };
}

const STORES: readonly [string, () => Stores][] = [
  ['a file store', () => fileStore(newFolder())],
  ['a memory store', memoryStore],
  ['a store that only reads and streams', remote],
  ['a pair of file stores', () => ({ small: fileStore(newFolder()), big: fileStore(newFolder()) })],
  ['a pair of unlike stores', () => ({ small: memoryStore(), big: fileStore(newFolder()) })],
];
const options = (to: Stores, change: Partial<ProtectOptions> = {}): ProtectOptions => ({
  name: 'net',
  version: '1',
  recipients: [master, device.publicKey],
  signer,
  to,
  ...change,
});
const opening = (from: Stores, change: Partial<LoadOptions> = {}): LoadOptions => ({
  from,
  identities: [device],
  verifier,
  ...change,
});
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;

describe.each(STORES)('through %s', (_, make) => {
  it('a file comes back', async () => {
    const to = make();
    const published = await protect(file, options(to));
    expect(published).toMatchObject({ ref: 'net@1', smallBytes: 3072, state: 'released' });
    using model = await load('net@1', opening(to));
    expect(same(model.bytes, plain)).toBe(true);
    expect([...model.files.keys()]).toEqual(['net.onnx']);
    const { payloadId, digest } = published;
    expect(model.metadata).toMatchObject({ name: 'net', version: '1', format: 'onnx', payloadId, digest, origin: 'verified' });
  });

  it('a folder comes back, and has no single file', async () => {
    const to = make();
    await protect(folder, options(to));
    using model = await load({ name: 'net', version: '1' }, opening(to));
    expect([...model.files.keys()]).toEqual([...FILES.keys()]);
    for (const [name, bytes] of FILES) expect(same(model.files.get(name)?.bytes ?? plain, bytes)).toBe(true);
    expect(model.metadata.format).toBe('folder');
    const error = await failureOf(() => model.bytes);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('model.files.get(name)') });
    expect((await failureOf(() => model.read(0, 1))).code).toBe('INVALID_ARGUMENT');
  });

  it('a published version stays, unless it may be overwritten', async () => {
    const to = make();
    const first = await protect(file, options(to));
    expect((await failureOf(() => protect(folder, options(to)))).code).toBe('ALREADY_EXISTS');
    using before = await load('net@1', opening(to));
    expect(before.metadata.payloadId).toBe(first.payloadId);
    await protect(folder, options(to, { overwrite: true }));
    using after = await load('net@1', opening(to));
    expect(after.files.size).toBe(FILES.size);
  });

  it('rekey replaces both parts, and what was lost opens nothing more', async () => {
    const to = make();
    const before = await protect(folder, options(to));
    const next = MasterKey.generate();
    const after = await rekey('net@1', { store: to, identities: [master], verifier, recipients: [next], signer });
    expect(after.payloadId).not.toBe(before.payloadId);
    expect((await failureOf(() => load('net@1', opening(to)))).code).toBe('NO_MATCHING_IDENTITY');
    using model = await load('net@1', opening(to, { identities: [next] }));
    for (const [name, bytes] of FILES) expect(same(model.files.get(name)?.bytes ?? plain, bytes)).toBe(true);
    expect(model.metadata.format).toBe('folder');
  });

  it('an aborted protect rejects and publishes nothing', async () => {
    const to = make();
    const reason = new Error('enough');
    const stopping = new AbortController();
    const running = protect(file, options(to, { signal: stopping.signal }));
    stopping.abort(reason);
    expect(await failureOf(() => running)).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: reason });
    expect((await failureOf(() => load('net@1', opening(to)))).code).toBe('NOT_FOUND');
    await protect(file, options(to));
  });

  it('an aborted load rejects', async () => {
    const to = make();
    await protect(file, options(to));
    const stopping = new AbortController();
    const running = load('net@1', opening(to, { signal: stopping.signal }));
    stopping.abort('enough');
    expect(await failureOf(() => running)).toMatchObject({ name: 'AbortError', cause: 'enough' });
  });

  it('tells how far it is, and ends at the total', async () => {
    const to = make();
    const seen: Progress[] = [];
    const onProgress = (progress: Progress) => seen.push(progress);
    await protect(file, options(to, { onProgress }));
    (await load('net@1', opening(to, { onProgress }))).dispose();
    for (const phase of ['encrypt', 'decrypt']) {
      const last = seen.filter((one) => one.phase === phase).at(-1);
      expect(last?.bytes).toBe(last?.total);
      expect(last?.total).toBeGreaterThan(plain.length);
    }
  });

  it('what a progress callback throws stops the work', async () => {
    const to = make();
    const thrown = new Error('not like this');
    const onProgress = () => {
      throw thrown;
    };
    await expect(protect(file, options(to, { onProgress }))).rejects.toBe(thrown);
  });
});

describe('protect', () => {
  it.each([
    ['no more than the header, salt and commitment', { maxBytes: 0 }],
    ['a ratio', { maxBytes: 2 ** 24, ratio: 0.2 }],
    ['more than a chunk', { maxBytes: 40_000 }],
  ])('cuts by rule: %s', async (_, split) => {
    const to = fileStore(newFolder());
    const { smallBytes, bigBytes } = await protect(file, options(to, { split }));
    if (split.maxBytes === 2 ** 24) expect(smallBytes).toBe(Math.floor((smallBytes + bigBytes) * 0.2));
    if (split.maxBytes === 40_000) expect(smallBytes).toBe(40_000);
    using model = await load('net@1', opening(to));
    expect(same(model.bytes, plain)).toBe(true);
  });

  it('takes recipients, identities and verifier from the store', async () => {
    const inner = memoryStore();
    const secret = await passphrase({ bytes: new TextEncoder().encode('by default') });
    const store: PartStore = Object.assign(Object.create(inner) as PartStore, bound(inner), {
      defaults: { recipients: [secret], identities: [secret], verifier },
    });
    await protect(file, { name: 'net', version: '1', to: store, signer });
    (await load('net@1', { from: store })).dispose();
    expect((await failureOf(() => load('net@1', { from: store, verifier: SigningKey.generate().publicKey }))).code).toBe(
      'SIGNATURE_INVALID',
    );
    using accepted = await load('net@1', { from: store, unsigned: 'accept' });
    expect(accepted.metadata.origin).toBe('accepted');
  });

  it('refuses to stream an encryption twice, or from the middle', async () => {
    const errors: string[] = [];
    const inner = memoryStore();
    const greedy: PartStore = {
      ...bound(inner),
      putBig: async (ref, name, source: BigPartSource, more) => {
        for (const again of [1, 0]) {
          if (again === 0) await inner.putBig(ref, name, source, more);
          errors.push((await failureOf(() => source.stream(again))).code);
        }
      },
    };
    await protect(file, options(greedy));
    expect(errors).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT']);
    (await load('net@1', opening(greedy))).dispose();
  });

  it('does not publish what a store did not take to its end', async () => {
    const inner = memoryStore();
    const lazy: PartStore = { ...bound(inner), putBig: async () => undefined };
    expect((await failureOf(() => protect(file, options(lazy)))).code).toBe('IO_FAILED');
    expect((await failureOf(() => load('net@1', opening(lazy)))).code).toBe('NOT_FOUND');
  });

  it('takes a source that gets other permissions and hard links while it is read', async () => {
    const touched = path.join(base, 'touched.onnx');
    const bytes = random.bytes(1_000_000);
    writeFileSync(touched, bytes);
    const inner = remote();
    const putBig: PartStore['putBig'] = (...args) => {
      chmodSync(touched, 0o640);
      linkSync(touched, `${touched}.link`);
      unlinkSync(`${touched}.link`);
      return inner.putBig(...args);
    };
    const to = { ...inner, putBig };
    await protect(touched, options(to));
    using model = await load('net@1', opening(to));
    expect(same(model.bytes, bytes)).toBe(true);
  });

  it('publishes nothing of a source that changes while it is read, and leaves nothing', async () => {
    const changing = path.join(base, 'changing.onnx');
    writeFileSync(changing, random.bytes(1_000_000));
    const to = newFolder();
    const store = fileStore(to);
    const localTarget = async (...args: Parameters<NonNullable<PartStore['localTarget']>>) => {
      writeFileSync(changing, random.bytes(1_000_000));
      return (await store.localTarget?.(...args)) ?? '';
    };
    const error = await failureOf(() => protect(changing, options({ ...bound(store), localTarget })));
    expect(error).toMatchObject({ code: 'SOURCE_CHANGED', message: expect.stringContaining('changing.onnx') });
    expect(readdirSync(path.join(to, 'big'))).toEqual([]);
    writeFileSync(changing, random.bytes(1_000_000));
    const remoteStore = remote();
    const putBig: PartStore['putBig'] = (...args) => {
      writeFileSync(changing, random.bytes(1_000_000));
      return remoteStore.putBig(...args);
    };
    expect((await failureOf(() => protect(changing, options({ ...remoteStore, putBig })))).code).toBe('SOURCE_CHANGED');
    const [only] = await remoteStore.collect();
    expect(only).toBeUndefined();
  });
});

describe('load', () => {
  it('refuses a reference that the store answers with another model', async () => {
    const store = memoryStore();
    await protect(file, options(store));
    await store.putSmall({ name: 'other', version: '1' }, await store.getSmall({ name: 'net', version: '1' }));
    expect((await failureOf(() => load('other@1', opening(store)))).code).toBe('REFERENCE_MISMATCH');
  });

  it('refuses a big part of another length before it reads it', async () => {
    const to = newFolder();
    const store = fileStore(to);
    await protect(file, options(store));
    const [big = ''] = readdirSync(path.join(to, 'big')).filter((name) => !name.endsWith('.tree'));
    const bytes = readFileSync(path.join(to, 'big', big));
    writeFileSync(path.join(to, 'big', big), bytes.subarray(1));
    expect(await failureOf(() => load('net@1', opening(store)))).toMatchObject({
      code: 'PARTS_MISMATCH',
      message: expect.stringContaining(`${bytes.length - 1} bytes`),
    });
  });

  it('says which part is missing', async () => {
    const store = memoryStore();
    await protect(file, options(store));
    const big = memoryStore();
    expect(await failureOf(() => load('net@1', opening({ small: store, big })))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('big part'),
    });
    expect(await failureOf(() => load('net@1', opening({ small: big, big: store })))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('small part'),
    });
  });

  it('closes what it opened, on every path, and passes on what a store throws', async () => {
    const inner = memoryStore();
    await protect(file, options(inner));
    const broken = new Error('the network broke');
    let open = 0;
    let fail = false;
    const store: PartStore = {
      ...bound(inner),
      openBig: async (...args) => {
        const part = await inner.openBig(...args);
        open += 1;
        return {
          ...part,
          close: async () => {
            open -= 1;
          },
          read: async (...range) => {
            if (fail) throw broken;
            return part.read(...range);
          },
        };
      },
    };
    (await load('net@1', opening(store))).dispose();
    expect(open).toBe(0);
    fail = true;
    const error = await failureOf(() => load('net@1', opening(store)));
    expect(error).toMatchObject({ code: 'IO_FAILED', cause: broken });
    expect(open).toBe(0);
  });

  it('with a rewrapped small part opens for the new recipient only', async () => {
    const store = memoryStore();
    const ref = { name: 'net', version: '1' };
    await protect(file, options(store));
    const other = DeviceKey.generate();
    const small = await rewrap(await store.getSmall(ref), { identities: [device], recipients: [`${other.publicKey}`], verifier });
    await store.putSmall(ref, small);
    expect((await failureOf(() => load('net@1', opening(store)))).code).toBe('NO_MATCHING_IDENTITY');
    using model = await load('net@1', opening(store, { identities: [other] }));
    expect(same(model.bytes, plain)).toBe(true);
    const foreign = { identities: [other], recipients: [master], verifier: SigningKey.generate().publicKey };
    expect((await failureOf(() => rewrap(small, foreign))).code).toBe('SIGNATURE_INVALID');
  });
});

describe('rekey', () => {
  it('keeps a signature, or says that it would be lost', async () => {
    const store = memoryStore();
    await protect(file, options(store));
    const unsigned = { store, identities: [master], verifier, recipients: [master] };
    expect(await failureOf(() => rekey('net@1', unsigned))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('signature'),
    });
    await rekey('net@1', { store, identities: [master], unsigned: 'accept', recipients: [master] });
    expect((await failureOf(() => load('net@1', opening(store, { identities: [master] })))).code).toBe('SIGNATURE_MISSING');
  });
});

function bound(store: PartStore): PartStore {
  return {
    getSmall: (...args) => store.getSmall(...args),
    putSmall: (...args) => store.putSmall(...args),
    putBig: (...args) => store.putBig(...args),
    openBig: (...args) => store.openBig(...args),
    list: (...args) => store.list(...args),
    collect: (...args) => store.collect(...args),
  };
}
