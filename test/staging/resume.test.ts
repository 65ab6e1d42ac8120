/** A publication that goes on where a crash ended it. If these fail, a large model is sent twice, or something else is published than what was asked for. */
import { mkdirSync, readdirSync, statSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  DeviceKey,
  fileStore,
  hardware,
  type Identity,
  load,
  MasterKey,
  memoryStore,
  type PartStore,
  type Progress,
  type ProtectOptions,
  passphrase,
  protect,
  SigningKey,
  type Stores,
} from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { piecewise } from '../support/piecewise-store.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('resume');
const random = seeded('resume');
const master = MasterKey.generate();
const device = DeviceKey.generate();
const signer = SigningKey.generate();
const PIECE = 256 * 1024;
const plain = random.bytes(5 * PIECE - 50_000);
const words = (text: string) => passphrase({ bytes: new TextEncoder().encode(text) });

let count = 0;
let file: string;
let staging: string;
beforeEach(() => {
  count += 1;
  file = path.join(base, `net-${count}.onnx`);
  staging = path.join(base, `staging-${count}`);
  write(plain);
});

/** At the same time, whenever it is. */
function write(bytes: Uint8Array): void {
  writeFileSync(file, bytes);
  utimesSync(file, 1000, 1000);
}

const options = (to: Stores, change: Partial<ProtectOptions> = {}): ProtectOptions => ({
  name: 'net',
  version: '1',
  recipients: [master, device.publicKey],
  signer,
  resume: staging,
  to,
  ...change,
});

/** The connection breaks before that piece, once. */
function breaking(piece: number) {
  let whole = true;
  return (number: number) => {
    if (!whole || number !== piece) return;
    whole = false;
    throw new Error('the line is cut');
  };
}

async function expectPublished(from: Stores, identity: Identity = master, bytes = plain): Promise<void> {
  using model = await load('net@1', { from, identities: [identity], unsigned: 'accept' });
  expect(Buffer.from(model.bytes).equals(bytes), 'another model was published').toBe(true);
  expect(readdirSync(staging), 'something stays staged').toEqual([]);
}

describe('the same call after a failure', () => {
  it('sends what is missing, of the same encryption', async () => {
    const store = piecewise(PIECE, breaking(3));
    expect((await failureOf(() => protect(file, options(store)))).code).toBe('IO_FAILED');
    expect(store.sent).toEqual([0, 1, 2]);
    const [open] = store.open.values();
    const begun = open?.get(2);
    const { payloadId, ref, state } = await protect(file, options(store));
    expect(store.sent, 'what was sent is sent again').toEqual([0, 1, 2, 3, 4]);
    expect(begun && open?.get(2) === begun).toBe(true);
    expect([ref, state, payloadId.length]).toEqual(['net@1', 'released', 32]);
    await expectPublished(store);
  });

  it('tells how far it is in each phase, what was there counted as done', async () => {
    const store = piecewise(PIECE, breaking(4));
    const seen: Progress[] = [];
    const onProgress = (progress: Progress) => void seen.push(progress);
    // A report between two pieces may have all bytes, too: the last one of each phase counts.
    const ends = () => [...new Map(seen.splice(0).map((progress) => [progress.phase, progress])).values()];
    await failureOf(() => protect(file, options(store, { onProgress })));
    expect(ends()[0]).toMatchObject({ phase: 'encrypt', remaining: 0 });
    await protect(file, options(store, { onProgress }));
    const ended = ends();
    expect(ended.map(({ phase }) => phase)).toEqual(['verify', 'upload']);
    for (const { bytes, total, remaining } of ended) expect([bytes, remaining]).toEqual([total, 0]);
  });

  it.each<[string, () => Stores]>([
    ['a file store', () => fileStore(path.join(base, `store-${count}`))],
    ['a memory store', memoryStore],
    ['a pair', () => ({ small: memoryStore(), big: fileStore(path.join(base, `store-${count}`)) })],
  ])('publishes in %s what has its big part there already', async (_what, make) => {
    const to = make();
    const { small, big } = 'getSmall' in to ? { small: to, big: to } : to;
    const failing = Object.assign(Object.create(small) as PartStore, {
      getSmall: small.getSmall.bind(small),
      putSmall: () => Promise.reject(new Error('the line is cut')),
      putBig: big.putBig.bind(big),
      openBig: big.openBig.bind(big),
      list: small.list.bind(small),
      collect: small.collect.bind(small),
    });
    await failureOf(() => protect(file, options(failing)));
    expect(readdirSync(path.join(staging, 'net', '1')).sort()).toEqual(['big', 'lock', 'small', 'source']);
    await protect(file, options(to));
    await expectPublished(to);
  });

  it('refuses what has the name of its big part and is something else', async () => {
    const folder = path.join(base, `store-${count}`);
    const to = fileStore(folder);
    const putSmall = () => Promise.reject(new Error('the line is cut'));
    await failureOf(() => protect(file, options({ small: { ...piecewise(PIECE), putSmall }, big: to })));
    const big = path.join(folder, 'big');
    const [part = ''] = readdirSync(big).filter((name) => !name.endsWith('.tree'));
    truncateSync(path.join(big, part), 1000);
    expect((await failureOf(() => protect(file, options(to)))).code).toBe('IO_FAILED');
    expect((await failureOf(() => to.getSmall({ name: 'net', version: '1' }))).code, 'it was published').toBe('NOT_FOUND');
  });

  it('stages the longest names', async () => {
    const [name, version] = ['n'.repeat(128), 'v'.repeat(128)];
    const { ref } = await protect(file, options(memoryStore(), { name, version }));
    expect(ref).toBe(`${name}@${version}`);
  });

  it('knows keys without a public half by whether they open what is staged', async () => {
    const key = path.join(base, `master-${count}`);
    await master.save(key);
    const store = piecewise(PIECE, breaking(2));
    const secret = async () => [await MasterKey.fromFile(key), await words('correct horse')];
    await failureOf(async () => protect(file, options(store, { recipients: await secret() })));
    await protect(file, options(store, { recipients: await secret() }));
    expect(store.sent).toEqual([0, 1, 2, 3, 4]);
    await expectPublished(store, await words('correct horse'));
  });
});

describe('another call', () => {
  const other = DeviceKey.generate();
  const CHANGES: readonly [string, () => Partial<ProtectOptions> | Promise<Partial<ProtectOptions>>][] = [
    ['a source of another time', () => utimesSync(file, 1, 1) ?? {}],
    ['a source of another size', () => write(plain.subarray(1)) ?? {}],
    ['another source of the same size and time', () => write(Uint8Array.from(plain).reverse()) ?? {}],
    ['another format', () => ({ format: 'other' })],
    ['another recipient', () => ({ recipients: [master, other] })],
    ['one recipient more', () => ({ recipients: [master, device, other] })],
    ['another master key', () => ({ recipients: [MasterKey.generate(), device] })],
    ['another signer', () => ({ signer: SigningKey.generate() })],
    ['no signer', () => ({ signer: undefined })],
    ['another cut', () => ({ split: { maxBytes: 10_000 } })],
  ];
  it.each(CHANGES)('with %s encrypts anew, and what was sent is given up', async (_what, change) => {
    const store = piecewise(PIECE, breaking(2));
    await failureOf(() => protect(file, options(store)));
    expect(store.open.size).toBe(1);
    await protect(file, options(store, await change()));
    expect(store.sent, 'what another call had staged was sent on').toEqual([0, 1, 0, 1, 2, 3, 4]);
    expect([...store.open.keys()], 'an upload is left').toEqual([]);
    expect(readdirSync(staging)).toEqual([]);
  });

  it('with another passphrase encrypts anew', async () => {
    const store = piecewise(PIECE, breaking(2));
    await failureOf(async () => protect(file, options(store, { recipients: [await words('one')] })));
    await protect(file, options(store, { recipients: [await words('two')] }));
    await expectPublished(store, await words('two'));
  });

  it('of another version has a folder of its own', async () => {
    const store = piecewise(PIECE, breaking(2));
    await failureOf(() => protect(file, options(store)));
    await protect(file, options(store, { version: '2' }));
    expect(readdirSync(path.join(staging, 'net'))).toEqual(['1']);
    await protect(file, options(store));
    await expectPublished(store);
  });

  it('is not held up by a store that cannot give an upload up', async () => {
    const store = piecewise(PIECE, breaking(2));
    await failureOf(() => protect(file, options(store)));
    const stubborn = { ...store, abandonBig: () => Promise.reject(new Error('no')) };
    await protect(file, options(stubborn, { format: 'other' }));
    await expectPublished(store);
  });
});

describe('a call whose version is published already', () => {
  /** Publishes, and dies before anybody hears of it. */
  const dying = (store: PartStore): PartStore => ({
    ...store,
    putSmall: async (...args) => {
      await store.putSmall(...args);
      throw new Error('gone');
    },
  });

  it('by the very run that was cut off reports it, and needs the big part no more', async () => {
    const store = piecewise(PIECE);
    await failureOf(() => protect(file, options(dying(store))));
    writeFileSync(path.join(staging, 'net', '1', 'big'), '');
    const again = await protect(file, options(store));
    const { payloadId, digest } = await load('net@1', { from: store, identities: [master], unsigned: 'accept' }).then(
      ({ metadata }) => metadata,
    );
    expect(again).toMatchObject({ ref: 'net@1', payloadId, digest, state: 'released', bigBytes: expect.any(Number) });
    expect(store.sent).toEqual([0, 1, 2, 3, 4]);
    await expectPublished(store);
  });

  it('tells how it stands, where the store knows', async () => {
    const store = piecewise(PIECE);
    await failureOf(() => protect(file, options(dying(store))));
    const payloadId = (await import('../../src/index.js').then(({ inspect }) => inspect({ ref: 'net@1', from: store })))
      .payloadId;
    const knowing: PartStore = {
      ...store,
      getSmall: () => Promise.reject(new Error('not for publishers')),
      published: async () => ({ payloadId, state: 'pending' }),
    };
    expect((await protect(file, options(knowing))).state).toBe('pending');
  });

  it('by somebody else is refused, and goes on where it may replace that', async () => {
    const store = piecewise(PIECE, breaking(3));
    await failureOf(() => protect(file, options(store)));
    await protect(file, { ...options(store), resume: undefined });
    expect((await failureOf(() => protect(file, options(store)))).code).toBe('ALREADY_EXISTS');
    await protect(file, options(store, { overwrite: true }));
    expect(store.sent.slice(-2), 'it was not sent on').toEqual([3, 4]);
    await expectPublished(store);
  });
});

describe('what is refused', () => {
  it('a second call while one is under way, and only then', async () => {
    let reached = () => {};
    let goOn = () => {};
    const there = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const waiting = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const store = piecewise(PIECE, async (number) => {
      if (number !== 1) return;
      reached();
      await waiting;
    });
    const first = protect(file, options(store));
    await there;
    expect((await failureOf(() => protect(file, options(memoryStore())))).code).toBe('IN_USE');
    goOn();
    await first;
    await protect(file, options(memoryStore()));
    await expectPublished(store);
  });

  it('a staging folder in the source itself', async () => {
    const folder = path.dirname(file);
    for (const resume of [folder, path.join(folder, 'staging'), path.join(folder, '..hidden')])
      expect((await failureOf(() => protect(folder, options(memoryStore(), { resume })))).code).toBe('INVALID_ARGUMENT');
  });

  it('a staging folder in the source itself by way of a link', async () => {
    const folder = path.join(base, `folder-${count}`);
    const link = path.join(base, `link-${count}`);
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'net.onnx'), plain);
    symlinkSync(folder, link);
    for (const [source, resume] of [
      [folder, path.join(link, 'new', 'staging')],
      [link, path.join(folder, 'new')],
    ] as const)
      expect((await failureOf(() => protect(source, options(memoryStore(), { resume })))).code).toBe('INVALID_ARGUMENT');
    expect(readdirSync(folder)).toEqual(['net.onnx']);
  });

  it('hardware() of this machine as recipient, as ever, and nothing is left of it', async () => {
    const failure = await failureOf(() => protect(file, options(memoryStore(), { recipients: [hardware()] })));
    expect(failure.code).toBe('INVALID_ARGUMENT');
  });
});

describe('what stays staged', () => {
  it('is for this user alone, and ciphertext', async () => {
    const store = piecewise(PIECE, breaking(2));
    await failureOf(() => protect(file, options(store)));
    const folder = path.join(staging, 'net', '1');
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const names = readdirSync(folder).sort();
    expect(names).toEqual(['big', 'lock', 'small', 'source', 'upload.json']);
    for (const name of names) expect(statSync(path.join(folder, name)).mode & 0o777, name).toBe(0o600);
  });

  it('is nothing after a failure or an abort before all is encrypted', async () => {
    const stop = new AbortController();
    const onProgress = ({ phase }: Progress) => {
      if (phase === 'encrypt') throw new Error('enough');
    };
    await expect(protect(file, options(memoryStore(), { onProgress }))).rejects.toThrow('enough');
    expect(readdirSync(staging)).toEqual([]);
    stop.abort();
    await expect(protect(file, options(memoryStore(), { signal: stop.signal }))).rejects.toThrow('aborted');
    expect(readdirSync(staging)).toEqual([]);
  });

  it('is everything after an abort while it is sent', async () => {
    const stop = new AbortController();
    const store = piecewise(PIECE, (number) => {
      if (number === 2) stop.abort();
    });
    await expect(protect(file, options(store, { signal: stop.signal }))).rejects.toThrow('aborted');
    await protect(file, options(store));
    expect(store.sent.filter((number) => number < 2)).toEqual([0, 1]);
    await expectPublished(store);
  });
});
