/** Options are parsed once, strictly, and errors name the path that is wrong. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatOf, isName, normaliseName } from '../../src/base/names.js';
import {
  encrypt,
  fileStore,
  inspect,
  load,
  MasterKey,
  memoryStore,
  passphrase,
  protect,
  split,
  verify,
} from '../../src/index.js';
import { seeded } from '../support/seed.js';

const key = MasterKey.generate();
const to = memoryStore();
const good = { name: 'net', version: '1', recipients: [key], to };

const protecting = (change: object) => () => protect('/nowhere', { ...good, ...change } as typeof good);
const loading =
  (ref: unknown, change: object = {}) =>
  () =>
    load(ref as string, { from: to, identities: [key], unsigned: 'accept', ...change } as Parameters<typeof load>[1]);

const refused: readonly [string, () => Promise<unknown>, string, RegExp][] = [
  ['an unknown option', protecting({ colour: 'red' }), 'INVALID_ARGUMENT', /^options \(colour\)/],
  ['an unknown nested option', protecting({ split: { maxbytes: 1 } }), 'INVALID_ARGUMENT', /^options\.split \(maxbytes\)/],
  ['a missing option', protecting({ to: undefined }), 'INVALID_ARGUMENT', /^options\.to/],
  ['no options', () => protect('/nowhere', undefined as unknown as typeof good), 'INVALID_ARGUMENT', /^options: /],
  ['something that is no store', protecting({ to: { getSmall() {} } }), 'INVALID_ARGUMENT', /^options\.to: wants a store/],
  ['half a pair of stores', protecting({ to: { small: to } }), 'INVALID_ARGUMENT', /^options\.to: wants a store/],
  ['a ratio above 0.9', protecting({ split: { ratio: 1 } }), 'INVALID_ARGUMENT', /^options\.split\.ratio/],
  ['maxBytes above 16 MiB', protecting({ split: { maxBytes: 2 ** 24 + 1 } }), 'INVALID_ARGUMENT', /^options\.split\.maxBytes/],
  ['no threads', protecting({ threads: 0 }), 'INVALID_ARGUMENT', /^options\.threads/],
  ['half a thread', protecting({ threads: 1.5 }), 'INVALID_ARGUMENT', /^options\.threads/],
  ['a progress callback that is none', protecting({ onProgress: 1 }), 'INVALID_ARGUMENT', /^options\.onProgress/],
  ['a signal that is none', protecting({ signal: {} }), 'INVALID_ARGUMENT', /^options\.signal: wants an AbortSignal/],
  [
    'a signal that is none, for a key',
    () => MasterKey.fromFile('/nowhere', { signal: {} as AbortSignal }),
    'INVALID_ARGUMENT',
    /^options\.signal: wants an AbortSignal/,
  ],
  [
    'an unknown option, for a passphrase',
    () => passphrase({ file: '/nowhere' }, { timeout: 1 } as object),
    'INVALID_ARGUMENT',
    /^options \(timeout\)/,
  ],
  ['no recipients', protecting({ recipients: [] }), 'INVALID_ARGUMENT', /^options\.recipients/],
  [
    'recipients that the store does not default',
    protecting({ recipients: undefined }),
    'INVALID_ARGUMENT',
    /^options\.recipients/,
  ],
  [
    '33 recipients',
    protecting({ recipients: Array.from({ length: 33 }, () => key) }),
    'INVALID_ARGUMENT',
    /^options\.recipients/,
  ],
  ['a name with capitals', protecting({ name: 'My Net' }), 'NAME_INVALID', /^options\.name: "My Net" .* "my-net" would/],
  ['a version with a slash', protecting({ version: '1/2' }), 'NAME_INVALID', /^options\.version: .* "1-2" would/],
  ['a format out of the grammar', protecting({ format: '.x' }), 'NAME_INVALID', /^options\.format/],
  ['a source that is no path', () => protect(1 as unknown as string, good), 'INVALID_ARGUMENT', /^source/],
  ['a source with a NUL', () => protect('a\0b', good), 'INVALID_ARGUMENT', /^source: holds a NUL/],
  ['a reference out of the grammar', loading('../x@1'), 'NAME_INVALID', /^ref\.name/],
  ['a reference without a version', loading('net'), 'INVALID_ARGUMENT', /no signed latest.*net@VERSION/],
  ['an empty version', loading('net@'), 'NAME_INVALID', /^ref\.version/],
  ['two at signs', loading('net@1@2'), 'NAME_INVALID', /^ref\.version/],
  ['no verifier', loading('net@1', { unsigned: undefined }), 'VERIFIER_REQUIRED', /whom to trust/],
  ['unsigned that does not say accept', loading('net@1', { unsigned: true }), 'INVALID_ARGUMENT', /^options\.unsigned/],
  ['a verifier beside unsigned', loading('net@1', { verifier: 'mgs1:' }), 'INVALID_ARGUMENT', /exclude each other/],
  [
    'an empty list of verifiers',
    loading('net@1', { unsigned: undefined, verifier: [] }),
    'INVALID_ARGUMENT',
    /^verifier: is an empty list/,
  ],
  ['a form that is none', loading('net@1', { as: 'file' }), 'INVALID_ARGUMENT', /^options\.as: /],
  [
    'a path of a lazy model',
    loading('net@1', { as: 'path', lazy: true }),
    'INVALID_ARGUMENT',
    /^options\.as: 'path' wants the whole model/,
  ],
  ['no identities', loading('net@1', { identities: undefined }), 'INVALID_ARGUMENT', /^options\.identities/],
  [
    'bytes that are none',
    () => encrypt([1] as unknown as Uint8Array, { recipients: [key] }),
    'INVALID_ARGUMENT',
    /^bytes: wants a Uint8Array/,
  ],
  [
    'shared bytes',
    () => encrypt(new Uint8Array(new SharedArrayBuffer(4)), { recipients: [key] }),
    'INVALID_ARGUMENT',
    /SharedArrayBuffer/,
  ],
  ['resizable bytes', () => encrypt(resizable(), { recipients: [key] }), 'INVALID_ARGUMENT', /resizable/],
  ['a shared container', () => split(new Uint8Array(new SharedArrayBuffer(4))), 'INVALID_ARGUMENT', /SharedArrayBuffer/],
  ['a source that is neither bytes nor path', () => inspect(1 as unknown as string), 'INVALID_ARGUMENT', /^source: wants bytes/],
  [
    'a stored source with a bad name',
    () => verify({ ref: 'X@1', from: to }, { verifier: 'mgs1:' }),
    'NAME_INVALID',
    /^source\.ref\.name/,
  ],
  ['a negative grace period', async () => fileStore('/tmp/x', { graceMs: -1 }), 'INVALID_ARGUMENT', /^options\.graceMs/],
];

function resizable(): Uint8Array {
  return new Uint8Array(Reflect.construct(ArrayBuffer, [4, { maxByteLength: 8 }]));
}

describe('options', () => {
  it.each(refused)('refuse %s', async (_, run, code, message) => {
    await expect(run()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});

describe('names', () => {
  it.each([
    ['My Net', 'my-net'],
    ['Défauts № 3.onnx', 'defauts-no-3.onnx'],
    ['..', 'model'],
    ['模型', 'model'],
    ['-x-', 'x'],
    ['a'.repeat(200), 'a'.repeat(128)],
  ])('%s becomes %s', (text, expected) => {
    expect(normaliseName(text)).toBe(expected);
  });

  it('whatever is normalised fits the grammar, and what fits stays', () => {
    const { seed } = seeded('names');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => isName(normaliseName(text))),
      { seed },
    );
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,100}[a-z0-9]$/), (text) => normaliseName(text) === text),
      { seed },
    );
  });

  it('tell the format from the extension', () => {
    expect(
      [
        'a.onnx',
        'a.engine',
        'a.PLAN',
        'a.gguf',
        'a.safetensors',
        'b/a.pt',
        'a.pth',
        'a.bin',
        'a.keras',
        'a.tflite',
        'a',
        'a.b/c',
      ].map(formatOf),
    ).toEqual([
      'onnx',
      'tensorrt',
      'tensorrt',
      'gguf',
      'safetensors',
      'pytorch',
      'pytorch',
      'pytorch',
      'keras',
      'tflite',
      'unknown',
      'unknown',
    ]);
  });
});
