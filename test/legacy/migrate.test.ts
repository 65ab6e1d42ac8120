/** An artifact becomes a container that opens to the same model; what goes wrong leaves everything as it was, and no plaintext anywhere. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  DeviceKey,
  decryptFile,
  fileStore,
  inspect,
  load,
  MasterKey,
  type MigrateToFileOptions,
  type MigrateToStoreOptions,
  memoryStore,
  migrate,
  type Progress,
  SigningKey,
  type Stores,
} from '../../src/index.js';
import { encrypt, LegacyKey, splitFile } from '../../src/legacy/index.js';
import { failureOf } from '../support/failures.js';
import { hooked } from '../support/hooked-store.js';
import { luckyKey, noticedKey, openLegacy, sealLegacy } from '../support/legacy.js';
import { Needles } from '../support/needles.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('migrate');
const at = (name: string): string => path.join(base, name);
const random = seeded('migrate');
const KEY = 'the key string';
const key = await LegacyKey.fromKeyString({ text: KEY });
const device = DeviceKey.generate();
const signer = SigningKey.generate();
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const plain = random.bytes(5_000_001);
const plaintextSha256 = createHash('sha256').update(plain).digest('hex');
const artifact = sealLegacy(plain, KEY);
const source = at('net.enc');
writeFileSync(source, artifact);
const parts = { small: at('net.small'), big: at('net.big') };
await splitFile(source, parts);

const common = { key, name: 'net', version: '1', recipients: [device.publicKey], signer };
const to = (store: Stores, change: Partial<MigrateToStoreOptions> = {}): MigrateToStoreOptions => ({
  ...common,
  to: store,
  ...change,
});
const out = (file: string, change: Partial<MigrateToFileOptions> = {}): MigrateToFileOptions => ({
  ...common,
  out: file,
  ...change,
});
const opening = { identities: [device], verifier: signer.publicKey };

let count = 0;
function newFolder(): string {
  count += 1;
  mkdirSync(at(`${count}`));
  return at(`${count}`);
}
const everything = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));

/** 32 bytes of every 4 KiB of the model: a page of it, however it is cut, holds one of them. */
const windows = new Needles();
for (let page = 0; page + 4096 <= plain.length; page += 4096) windows.addRaw('plaintext', plain.subarray(page, page + 32));

function plaintextIn(folder: string): string[] {
  return everything(folder).filter((file) => {
    let found = false;
    windows.scan(readFileSync(file), () => {
      found = true;
    });
    return found;
  });
}

const SOURCES = [
  ['a file', source],
  ['two parts', parts],
  ['bytes', artifact],
] as const;

describe.each(SOURCES)('from %s', (_, from) => {
  it('a model is published, and loads', async () => {
    const store = fileStore(newFolder());
    const result = await migrate(from, to(store, { fileName: 'net.onnx', plaintextSha256 }));
    expect(result).toMatchObject({ ref: 'net@1', smallBytes: 3072, state: 'released', source: 'checked' });
    using model = await load('net@1', { ...opening, from: store });
    expect(same(model.bytes, plain)).toBe(true);
    expect([...model.files.keys()]).toEqual(['net.onnx']);
    expect(model.metadata).toMatchObject({
      format: 'onnx',
      origin: 'verified',
      payloadId: result.payloadId,
      digest: result.digest,
    });
  });

  it('a container file is written, and opens', async () => {
    const file = path.join(newFolder(), 'net.mguard');
    const result = await migrate(from, out(file, { format: 'gguf' }));
    expect(result).toMatchObject({ ref: 'net@1', bytes: statSync(file).size, source: 'unauthenticated' });
    using model = await decryptFile(file, opening);
    expect(same(model.bytes, plain)).toBe(true);
    expect([...model.files.keys()]).toEqual(['model']);
    expect(model.metadata).toMatchObject({ name: 'net', version: '1', format: 'gguf' });
  });
});

describe('the only file', () => {
  it.each([1, 15, 16, 16_384, 1_048_576])('of %i bytes is the same', async (size) => {
    const one = random.bytes(size);
    const store = memoryStore();
    await migrate(sealLegacy(one, KEY), to(store));
    using model = await load('net@1', { ...opening, from: store });
    expect(same(model.bytes, one)).toBe(true);
    expect(model.metadata.format).toBe('unknown');
  });

  it('streams into stores that take no files', async () => {
    const store = hooked(memoryStore(), () => undefined, { streamed: true });
    await migrate(source, to(store, { plaintextSha256 }));
    using model = await load('net@1', { ...opening, from: store });
    expect(same(model.bytes, plain)).toBe(true);
  });

  it('must not be empty, nor have a name that no model may hold', async () => {
    const store = memoryStore();
    const empty = await encrypt(new Uint8Array(), { key });
    expect((await failureOf(() => migrate(empty, to(store)))).code).toBe('SOURCE_EMPTY');
    for (const fileName of ['../x', '/x', 'a\\b', 'CON', '.'])
      expect((await failureOf(() => migrate(source, to(store, { fileName })))).code).toBe('NAME_INVALID');
  });
});

describe('no plaintext', () => {
  it('is on disk, neither while it runs nor afterwards', async () => {
    const folder = newFolder();
    const looked: string[] = [];
    const store = hooked(fileStore(folder), (operation) => {
      looked.push(operation);
      expect(plaintextIn(folder), operation).toEqual([]);
    });
    // The search works.
    writeFileSync(path.join(folder, 'plain'), plain);
    expect(plaintextIn(folder)).toHaveLength(1);
    writeFileSync(path.join(folder, 'plain'), '');
    await migrate(source, to(store, { plaintextSha256 }));
    await migrate(parts, out(path.join(folder, 'net.mguard')));
    expect(looked).toEqual(expect.arrayContaining(['putBig', 'putSmall']));
    expect(plaintextIn(folder)).toEqual([]);
  });
});

describe('a wrong key', () => {
  it('is one error, where it is noticed, and nothing is published', async () => {
    const folder = newFolder();
    const wrong = await LegacyKey.fromKeyString({ text: noticedKey(artifact) });
    const tries = [
      () => migrate(source, to(fileStore(folder), { key: wrong })),
      () => migrate(parts, out(path.join(folder, 'x'), { key: wrong, plaintextSha256 })),
      ...[0, 15, 16, 31, 33].map((size) => () => migrate(artifact.slice(0, size), to(fileStore(folder)))),
    ];
    const messages = new Set<string>();
    for (const run of tries) {
      const { code, message } = await failureOf(run);
      expect(code).toBe('LEGACY_FAILED');
      messages.add(message);
    }
    expect(messages.size).toBe(1);
    expect(everything(folder)).toEqual([]);
  });

  it('that fits by chance makes a container of garbage, unless a digest is given', async () => {
    const folder = newFolder();
    const lucky = luckyKey(artifact, KEY);
    const wrong = await LegacyKey.fromKeyString({ text: lucky });
    const refused = await failureOf(() => migrate(source, to(fileStore(folder), { key: wrong, plaintextSha256 })));
    const noticed = await failureOf(() => migrate(artifact.slice(0, 31), to(fileStore(folder))));
    expect([refused.code, refused.message]).toEqual(['LEGACY_FAILED', noticed.message]);
    expect((await failureOf(() => migrate(source, out(path.join(folder, 'x'), { key: wrong, plaintextSha256 })))).code).toBe(
      'LEGACY_FAILED',
    );
    expect(everything(folder)).toEqual([]);
    expect(await migrate(source, to(fileStore(folder), { key: wrong }))).toMatchObject({ source: 'unauthenticated' });
    using model = await load('net@1', { ...opening, from: fileStore(folder) });
    expect(same(model.bytes, openLegacy(artifact, lucky))).toBe(true);
  });

  it('is noticed by a digest in capitals as well', async () => {
    const options = to(memoryStore(), { plaintextSha256: plaintextSha256.toUpperCase() });
    expect(await migrate(source, options)).toMatchObject({ source: 'checked' });
    expect((await failureOf(() => migrate(source, to(memoryStore(), { plaintextSha256: '0'.repeat(64) })))).code).toBe(
      'LEGACY_FAILED',
    );
  });
});

describe('what is there already', () => {
  it('stays, unless it may be replaced', async () => {
    const folder = newFolder();
    const [store, file] = [fileStore(folder), path.join(folder, 'net.mguard')];
    const first = await migrate(source, to(store));
    await migrate(source, out(file));
    const before = readFileSync(file);
    expect((await failureOf(() => migrate(source, to(store)))).code).toBe('ALREADY_EXISTS');
    expect((await failureOf(() => migrate(source, out(file)))).code).toBe('ALREADY_EXISTS');
    expect(same(readFileSync(file), before)).toBe(true);
    expect((await inspect({ ref: 'net@1', from: store })).payloadId).toBe(first.payloadId);
    const second = await migrate(source, to(store, { overwrite: true, split: { ratio: 0, maxBytes: 0 } }));
    expect((await inspect({ ref: 'net@1', from: store })).payloadId).toBe(second.payloadId);
    await migrate(source, out(file, { overwrite: true }));
    expect(same(readFileSync(file), before)).toBe(false);
  });

  it('stays when a replacement fails or is aborted', async () => {
    const folder = newFolder();
    const store = fileStore(folder);
    const first = await migrate(source, to(store));
    const controller = new AbortController();
    const onProgress = ({ phase }: Progress): void => {
      if (phase === 'verify') controller.abort('enough');
    };
    const tries = [
      to(store, { signal: AbortSignal.abort('enough') }),
      to(store, { plaintextSha256, signal: controller.signal, onProgress }),
      to(store, { plaintextSha256: 'f'.repeat(64) }),
    ];
    const codes: string[] = [];
    for (const options of tries) codes.push((await failureOf(() => migrate(source, { ...options, overwrite: true }))).code);
    expect(codes).toEqual(['ABORT_ERR', 'ABORT_ERR', 'LEGACY_FAILED']);
    expect((await inspect({ ref: 'net@1', from: store })).payloadId).toBe(first.payloadId);
    const aborted = out(path.join(folder, 'x'), { signal: AbortSignal.abort() });
    expect((await failureOf(() => migrate(source, aborted))).code).toBe('ABORT_ERR');
    expect(everything(folder).filter((file) => /\/(x|\.tmp-[^/]*)$/.test(file))).toEqual([]);
  });
});

describe('an artifact that changes meanwhile', () => {
  it('is refused, and nothing is published', async () => {
    const folder = newFolder();
    const changing = path.join(newFolder(), 'net.enc');
    writeFileSync(changing, artifact);
    const store = hooked(
      fileStore(folder),
      (operation) => {
        if (operation === 'piece') writeFileSync(changing, sealLegacy(plain, KEY));
      },
      { streamed: true },
    );
    expect((await failureOf(() => migrate(changing, to(store)))).code).toBe('SOURCE_CHANGED');
    expect(everything(folder)).toEqual([]);
  });

  it('does not get past a digest that was checked before', async () => {
    const changing = path.join(newFolder(), 'net.enc');
    writeFileSync(changing, artifact);
    const onProgress = ({ phase }: Progress): void => {
      if (phase === 'verify') writeFileSync(changing, sealLegacy(random.bytes(plain.length), KEY));
    };
    const error = await failureOf(() => migrate(changing, to(memoryStore(), { plaintextSha256, onProgress })));
    expect(['SOURCE_CHANGED', 'LEGACY_FAILED']).toContain(error.code);
  });
});

describe('progress', () => {
  it('ends each phase at its total', async () => {
    const seen: Progress[] = [];
    await migrate(source, to(memoryStore(), { plaintextSha256, onProgress: (one) => seen.push(one) }));
    const last = (phase: string): Progress | undefined => seen.filter((one) => one.phase === phase).at(-1);
    expect(last('verify')).toMatchObject({ bytes: plain.length, total: plain.length, remaining: 0 });
    expect(last('encrypt')).toMatchObject({ bytes: last('encrypt')?.total });
  });

  it('that throws ends it, while the digest is computed too', async () => {
    const onProgress = (): never => {
      throw new Error('full');
    };
    await expect(migrate(source, to(memoryStore(), { plaintextSha256, onProgress }))).rejects.toThrow('full');
  });
});

describe('options', () => {
  const store = memoryStore();
  const refused: readonly [string, object, string, RegExp][] = [
    ['neither a store nor a file', { to: undefined }, 'INVALID_ARGUMENT', /exactly one of to, out/],
    ['both', { out: at('x') }, 'INVALID_ARGUMENT', /exactly one of to, out/],
    ['a file with split', { to: undefined, out: at('x'), split: {} }, 'INVALID_ARGUMENT', /split is for stores/],
    [
      'a file without recipients',
      { to: undefined, out: at('x'), recipients: undefined },
      'INVALID_ARGUMENT',
      /recipients are required/,
    ],
    ['a store without recipients', { recipients: undefined }, 'INVALID_ARGUMENT', /no default recipients/],
    ['a short digest', { plaintextSha256: 'abc' }, 'INVALID_ARGUMENT', /^options\.plaintextSha256: is not 64 hex digits/],
    ['no name', { name: undefined }, 'INVALID_ARGUMENT', /^options\.name/],
    ['a name out of the grammar', { name: 'My Net' }, 'NAME_INVALID', /"my-net" would/],
    ['no key', { key: undefined }, 'INVALID_ARGUMENT', /^options\.key/],
    ['another key', { key: MasterKey.generate() }, 'KEY_TYPE_WRONG', /options\.key: wants a LegacyKey, not a master key/],
    ['an unknown option', { colour: 'red' }, 'INVALID_ARGUMENT', /colour/],
    ['another signer', { signer: device }, 'KEY_TYPE_WRONG', /signer/],
  ];

  it.each(refused)('refuse %s', async (_, change, code, message) => {
    const options = { ...to(store), ...change } as MigrateToStoreOptions;
    expect(await failureOf(() => migrate(source, options))).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(everything(base)).not.toContain(at('x'));
  });

  it.each([
    ['a path that is missing', at('none'), 'NOT_FOUND'],
    ['a folder', base, 'SOURCE_UNSUPPORTED'],
    ['half a pair', { small: parts.small }, 'INVALID_ARGUMENT'],
    ['shared bytes', new Uint8Array(new SharedArrayBuffer(32)), 'INVALID_ARGUMENT'],
  ])('refuse %s as artifact', async (_, from, code) => {
    expect((await failureOf(() => migrate(from as string, to(store)))).code).toBe(code);
  });
});
