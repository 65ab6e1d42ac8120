/** Artifacts in memory, in files, in parts and as streams: they come back the same, and every failure that is noticed looks the same. */
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { type AbortSignalLike, type GuardedModel, MasterKey, type ModelGuardError, type Progress } from '../../src/index.js';
import {
  decrypt,
  decryptFile,
  decryptStream,
  encrypt,
  encryptFile,
  join,
  joinFiles,
  type LegacyFiles,
  LegacyKey,
  type LegacyModel,
  split,
  splitFile,
} from '../../src/legacy/index.js';
import { failureOf } from '../support/failures.js';
import { collectGarbage } from '../support/garbage.js';
import { luckyKey, noticedKey, openLegacy, plainOf, sealLegacy } from '../support/legacy.js';
import { secretBytes } from '../support/process-memory.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('legacy');
const at = (name: string): string => path.join(base, name);
const write = (name: string, bytes: Uint8Array): string => {
  writeFileSync(at(name), bytes);
  return at(name);
};
const random = seeded('legacy artifacts');
const KEY = 'the key string';
const key = await LegacyKey.fromKeyString({ text: KEY });
const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
const plain = random.bytes(9_000_001);
const artifact = sealLegacy(plain, KEY);
const files: { readonly whole: string; readonly parts: { readonly small: string; readonly big: string } } = {
  whole: write('whole.enc', artifact),
  parts: { small: write('part.small', artifact.subarray(0, 3072)), big: write('part.big', artifact.subarray(3072)) },
};

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return new Uint8Array(Buffer.concat(pieces));
}
const leftovers = (): string[] => readdirSync(base).filter((name) => name.startsWith('.tmp-'));

describe('in memory', () => {
  it('what is encrypted comes back, each time under another IV', async () => {
    const [first, second] = [await encrypt(plain, { key }), await encrypt(plain, { key })];
    expect(same(openLegacy(first, KEY), plain)).toBe(true);
    expect(same(first.subarray(0, 16), second.subarray(0, 16))).toBe(false);
    expect(same(await plainOf(first, key), plain)).toBe(true);
  });

  it('the model is guarded, has one file, and says that nothing vouches for it', async () => {
    using model = await decrypt(artifact, { key });
    expect(model.metadata).toEqual({ origin: 'unauthenticated' });
    expect([...model.files]).toMatchObject([['model', { name: 'model', size: plain.length }]]);
    expect(same(await model.read(8_000_000, 1000), plain.subarray(8_000_000, 8_001_000))).toBe(true);
    expect(model.protection.dontdump).toBe(true);
    const { bytes } = model;
    model.dispose();
    expect(
      bytes.every((byte) => byte === 0),
      'the plaintext is still there',
    ).toBe(true);
    expect((await failureOf(() => model.bytes)).code).toBe('DISPOSED');
    expectTypeOf<LegacyModel>().not.toExtend<GuardedModel>();
    expectTypeOf<LegacyModel['bytes']>().toEqualTypeOf<Uint8Array>();
  });

  it('bytes are copied before the calls return', async () => {
    const [mine, sealed] = [plain.slice(0, 1000), sealLegacy(plain.subarray(0, 1000), KEY)];
    const [encrypting, decrypting] = [encrypt(mine, { key }), decrypt(sealed, { key })];
    mine.fill(0);
    sealed.fill(0);
    expect(same(openLegacy(await encrypting, KEY), plain.subarray(0, 1000))).toBe(true);
    using model = await decrypting;
    expect(same(model.bytes, plain.subarray(0, 1000))).toBe(true);
  });
});

/** Every way to open an artifact. */
const WAYS: readonly [string, (bytes: Uint8Array, with_: LegacyKey) => Promise<Uint8Array>][] = [
  ['bytes', plainOf],
  ['a file', (bytes, one) => opened(write('way.enc', bytes), one)],
  ['two parts', (bytes, one) => opened(cut(bytes), one)],
  ['a stream of a file', (bytes, one) => collect(decryptStream(write('way.enc', bytes), { key: one }))],
  ['a stream of two parts', (bytes, one) => collect(decryptStream(cut(bytes), { key: one }))],
];
async function opened(from: LegacyFiles, one: LegacyKey): Promise<Uint8Array> {
  using model = await decryptFile(from, { key: one });
  return model.bytes.slice();
}
function cut(bytes: Uint8Array): LegacyFiles {
  const end = Math.min(3072, Math.floor(bytes.length * 0.3));
  return { small: write('way.small', bytes.subarray(0, end)), big: write('way.big', bytes.subarray(end)) };
}

describe.each(WAYS)('from %s', (_, open) => {
  it.each([0, 1, 15, 16, 17, 3072, 10_240, 100_000])('%i bytes come back', async (size) => {
    const one = random.bytes(size);
    expect(same(await open(sealLegacy(one, KEY), key), one)).toBe(true);
  });

  it('whatever is noticed is one error', async () => {
    const whole = sealLegacy(random.bytes(1000), KEY);
    const wrong = await LegacyKey.fromKeyString({ text: noticedKey(whole) });
    const damaged = whole.slice();
    // The last byte of the padding becomes 0xff, which no padding is.
    damaged[damaged.length - 17] = (damaged[damaged.length - 17] ?? 0) ^ (1008 - 1000) ^ 0xff;
    const errors: ModelGuardError[] = [];
    for (const size of [0, 15, 16, 31, 33, 47, 63]) errors.push(await failureOf(() => open(whole.slice(0, size), key)));
    errors.push(await failureOf(() => open(whole, wrong)), await failureOf(() => open(damaged, key)));
    for (const { code, message, cause } of errors) {
      expect({ code, message, cause }).toEqual({ code: 'LEGACY_FAILED', message: errors[0]?.message, cause: undefined });
    }
    expect(errors[0]?.message).toContain('about 1 in 256 wrong keys');
  });

  it('about 1 in 256 wrong keys, and a cut at a lucky block, give garbage without an error', async () => {
    const whole = sealLegacy(random.bytes(1000), KEY);
    const garbage = await open(whole, await LegacyKey.fromKeyString({ text: luckyKey(whole, KEY) }));
    expect(same(garbage, openLegacy(whole, KEY))).toBe(false);
    const shorter = sealLegacy(Buffer.from(`${'a block of text '.repeat(2)}${'\x01'.repeat(16)} and more`), KEY).slice(0, 64);
    expect(Buffer.from(await open(shorter, key)).toString()).toBe(`${'a block of text '.repeat(2)}${'\x01'.repeat(15)}`);
  });
});

describe('encryptFile', () => {
  it('writes a private artifact, and reports what it did', async () => {
    const progress: Progress[] = [];
    const result = await encryptFile(write('net.onnx', plain), at('net.enc'), { key, onProgress: (one) => progress.push(one) });
    const written = new Uint8Array(readFileSync(at('net.enc')));
    expect(same(openLegacy(written, KEY), plain)).toBe(true);
    expect(result).toEqual({ bytes: written.length });
    expect(statSync(at('net.enc')).mode & 0o777).toBe(0o600);
    expect(progress.at(-1)).toMatchObject({ phase: 'encrypt', bytes: plain.length, total: plain.length });
  });

  it('takes an empty file', async () => {
    await encryptFile(write('empty', new Uint8Array()), at('empty.enc'), { key });
    expect(openLegacy(readFileSync(at('empty.enc')), KEY)).toHaveLength(0);
  });

  it('replaces nothing unless it may', async () => {
    const before = readFileSync(at('net.enc'));
    expect((await failureOf(() => encryptFile(at('net.onnx'), at('net.enc'), { key }))).code).toBe('ALREADY_EXISTS');
    expect(same(readFileSync(at('net.enc')), before)).toBe(true);
    await encryptFile(at('net.onnx'), at('net.enc'), { key, overwrite: true });
    expect(same(readFileSync(at('net.enc')), before)).toBe(false);
  });

  it.each([
    ['a source that is missing', at('none'), 'NOT_FOUND'],
    ['a folder', base, 'SOURCE_UNSUPPORTED'],
    ['no path', '', 'INVALID_ARGUMENT'],
  ])('refuses %s, and leaves nothing', async (_, source, code) => {
    expect((await failureOf(() => encryptFile(source, at('refused.enc'), { key }))).code).toBe(code);
    expect(readdirSync(base)).not.toContain('refused.enc');
    expect(leftovers()).toEqual([]);
  });

  it('leaves nothing when it is aborted', async () => {
    const signal = AbortSignal.abort(new Error('enough'));
    const error = await failureOf(() => encryptFile(at('net.onnx'), at('aborted.enc'), { key, signal }));
    expect(error).toMatchObject({ name: 'AbortError', cause: signal.reason });
    const onProgress = (): never => {
      throw new Error('full');
    };
    await expect(encryptFile(at('net.onnx'), at('aborted.enc'), { key, onProgress })).rejects.toThrow('full');
    expect(readdirSync(base)).not.toContain('aborted.enc');
    expect(leftovers()).toEqual([]);
  });
});

describe('decryptFile', () => {
  it('reports progress, and can be aborted', async () => {
    const progress: Progress[] = [];
    using model = await decryptFile(files.parts, { key, onProgress: (one) => progress.push(one) });
    expect(same(model.bytes, plain)).toBe(true);
    expect(progress.at(-1)).toMatchObject({ phase: 'decrypt', bytes: artifact.length - 16 });
    const signal = AbortSignal.abort('enough');
    expect(await failureOf(() => decryptFile(files.whole, { key, signal }))).toMatchObject({
      code: 'ABORT_ERR',
      cause: 'enough',
    });
  });

  it.each([
    ['a file that is missing', () => decryptFile(at('none'), { key }), 'NOT_FOUND'],
    ['a part that is missing', () => decryptFile({ ...files.parts, big: at('none') }, { key }), 'NOT_FOUND'],
    ['a folder', () => decryptFile(base, { key }), 'SOURCE_UNSUPPORTED'],
    ['half a pair', () => decryptFile({ small: at('part.small') } as LegacyFiles, { key }), 'INVALID_ARGUMENT'],
    ['bytes', () => decryptFile(artifact as unknown as string, { key }), 'INVALID_ARGUMENT'],
    ['an unknown option', () => decryptFile(files.whole, { key, verifier: 'mgs1:' } as { key: LegacyKey }), 'INVALID_ARGUMENT'],
    ['no key', () => decryptFile(files.whole, {} as { key: LegacyKey }), 'INVALID_ARGUMENT'],
    ['another key', () => decryptFile(files.whole, { key: MasterKey.generate() as unknown as LegacyKey }), 'KEY_TYPE_WRONG'],
  ])('refuses %s', async (_, run, code) => {
    expect((await failureOf(run)).code).toBe(code);
  });
});

describe('decryptStream', () => {
  it('goes through a pipe in pieces', async () => {
    const sizes: number[] = [];
    const pieces: Uint8Array[] = [];
    await pipeline(decryptStream(files.parts, { key }), async (source: AsyncIterable<Uint8Array>) => {
      for await (const piece of source) {
        sizes.push(piece.length);
        pieces.push(piece);
      }
    });
    expect(same(Buffer.concat(pieces), plain)).toBe(true);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4 * 2 ** 20);
    expect(sizes.length).toBeGreaterThan(1);
  });

  it('says at once what is wrong with its arguments, and later what is wrong with the artifact', async () => {
    expect(await failureOf(() => decryptStream(1 as unknown as string, { key }))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    const stream = decryptStream(at('none'), { key });
    expect((await failureOf(() => collect(stream))).code).toBe('NOT_FOUND');
  });

  it('yields nothing of what can be noticed', async () => {
    const wrong = await LegacyKey.fromKeyString({ text: noticedKey(artifact) });
    const pieces = decryptStream(files.whole, { key: wrong })[Symbol.asyncIterator]();
    expect((await failureOf(() => pieces.next())).code).toBe('LEGACY_FAILED');
  });

  it('ends when it is aborted, and lets go of its key when nobody reads on', async () => {
    await collectGarbage(); // so that no key of another test goes meanwhile
    const before = secretBytes(process.pid);
    const controller = new AbortController();
    const error = await failureOf(async () => {
      for await (const piece of decryptStream(files.whole, { key, signal: controller.signal }))
        if (piece.length > 0) controller.abort('enough');
    });
    expect(error).toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' });
    expect(secretBytes(process.pid)).toBe(before);
    for await (const piece of decryptStream(files.whole, { key })) {
      expect(piece.length).toBeGreaterThan(0);
      expect(secretBytes(process.pid)).toBeGreaterThan(before);
      break;
    }
    expect(secretBytes(process.pid)).toBe(before);
  });

  it('fails where the file is cut short meanwhile', async () => {
    const target = write('shrinking.enc', artifact);
    const error = await failureOf(async () => {
      for await (const piece of decryptStream(target, { key })) if (piece.length > 0) truncateSync(target, 1000);
    });
    expect(['CONTAINER_TRUNCATED', 'SOURCE_CHANGED']).toContain(error.code);
  });
});

describe('split and join', () => {
  // 10,240 and 15,360 are the first sizes of artifacts at which 0.3 and 0.2 reach 3072.
  it.each([
    [32, undefined, 9],
    [32, 0.2, 6],
    [48, 0.3, 14],
    [10_224, 0.3, 3067],
    [10_240, 0.3, 3072],
    [10_256, 0.3, 3072],
    [10_256, 0.2, 2051],
    [15_344, 0.2, 3068],
    [15_360, 0.2, 3072],
    [1_000_000, 0.2, 3072],
  ] as const)('an artifact of %i bytes at %s is cut after %i', async (size, ratio, expected) => {
    const whole = random.bytes(size);
    const { small, big } = await split(whole, ratio && { ratio });
    expect([small.length, big.length]).toEqual([expected, size - expected]);
    expect(same(await join(small, big), whole)).toBe(true);
    await splitFile(
      write('cut.enc', whole),
      { small: at('cut.small'), big: at('cut.big') },
      { ...(ratio && { ratio }), overwrite: true },
    );
    expect([readFileSync(at('cut.small')), readFileSync(at('cut.big'))].map((one) => one.length)).toEqual([
      expected,
      size - expected,
    ]);
    expect(await joinFiles({ small: at('cut.small'), big: at('cut.big') }, at('joined.enc'), { overwrite: true })).toEqual({
      bytes: size,
    });
    expect(same(readFileSync(at('joined.enc')), whole)).toBe(true);
    for (const name of ['cut.small', 'cut.big', 'joined.enc']) expect(statSync(at(name)).mode & 0o777).toBe(0o600);
  });

  it('small parts of neither ratio join as well', async () => {
    expect(same(await join(artifact.slice(0, 1), artifact.slice(1)), artifact)).toBe(true);
    expect(same(await join(artifact, new Uint8Array()), artifact)).toBe(true);
  });

  it.each([0, 15, 16, 31, 33])('%i bytes are no artifact', async (size) => {
    const bytes = random.bytes(size);
    const known = await failureOf(() => decrypt(bytes, { key }));
    const short = write('short.enc', bytes);
    const parts = { small: at('short.small'), big: at('short.big') };
    const tries = [
      () => split(bytes),
      () => join(bytes.slice(0, 1), bytes.slice(1)),
      () => splitFile(short, parts),
      () => joinFiles({ small: short, big: at('empty') }, at('short.joined')),
    ];
    for (const run of tries) {
      const { code, message } = await failureOf(run);
      expect({ code, message }).toEqual({ code: 'LEGACY_FAILED', message: known.message });
    }
    expect(readdirSync(base).filter((name) => /^short\.(?!enc)/.test(name))).toEqual([]);
  });

  it.each([0.1, 0.25, 0, 1, Number.NaN, '0.3'])('%s is no ratio', async (ratio) => {
    const error = await failureOf(() => split(artifact, { ratio } as { ratio: 0.2 }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(/^rule\.ratio: wants 0\.2 or 0\.3/) });
  });

  it('refuse to overwrite, and leave nothing when they are aborted', async () => {
    const parts = { small: at('kept.small'), big: at('kept.big') };
    await splitFile(files.whole, parts);
    expect((await failureOf(() => splitFile(files.whole, { ...parts, small: at('new.small') }))).code).toBe('ALREADY_EXISTS');
    expect((await failureOf(() => splitFile(files.whole, { ...parts, big: at('new.big') }))).code).toBe('ALREADY_EXISTS');
    expect((await failureOf(() => joinFiles(parts, files.whole))).code).toBe('ALREADY_EXISTS');
    const signal = AbortSignal.abort();
    expect((await failureOf(() => joinFiles(parts, at('new.enc'), { signal }))).code).toBe('ABORT_ERR');
    expect((await failureOf(() => splitFile(files.whole, { small: at('new.small'), big: at('new.big') }, { signal }))).code).toBe(
      'ABORT_ERR',
    );
    expect(readdirSync(base).filter((name) => name.startsWith('new.'))).toEqual([]);
    expect(leftovers()).toEqual([]);
  });

  it.each([
    ['other bytes', () => sealLegacy(plain, KEY)],
    ['fewer bytes', () => artifact.slice(0, 4096)],
  ])('refuse a file that changes meanwhile to %s, and leave nothing', async (_, content) => {
    const changing = at('changing.enc');
    // Asked at the beginning, and then before every piece that is copied.
    const signal = (): AbortSignalLike => {
      let asked = 0;
      return {
        get aborted() {
          asked += 1;
          if (asked > 1) writeFileSync(changing, content());
          return false;
        },
        addEventListener: () => undefined,
        removeEventListener: () => undefined,
      };
    };
    const tries = [
      () => splitFile(changing, { small: at('torn.small'), big: at('torn.big') }, { signal: signal() }),
      () => joinFiles({ small: files.parts.small, big: changing }, at('torn.enc'), { signal: signal() }),
    ];
    for (const run of tries) {
      writeFileSync(changing, artifact);
      expect((await failureOf(run)).code).toBe('SOURCE_CHANGED');
    }
    expect(readdirSync(base).filter((name) => name.startsWith('torn.'))).toEqual([]);
    expect(leftovers()).toEqual([]);
  });

  it.each([
    ['a file that is missing', () => splitFile(at('none'), { small: at('a'), big: at('b') }), 'NOT_FOUND'],
    ['a folder', () => joinFiles({ small: base, big: files.parts.big }, at('a')), 'SOURCE_UNSUPPORTED'],
    ['half a pair', () => joinFiles({ small: at('a') } as typeof files.parts, at('b')), 'INVALID_ARGUMENT'],
    ['shared bytes', () => join(new Uint8Array(new SharedArrayBuffer(16)), artifact), 'INVALID_ARGUMENT'],
  ])('refuse %s', async (_, run, code) => {
    expect((await failureOf(run)).code).toBe(code);
  });
});
