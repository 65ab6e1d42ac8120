/**
 * A runtime that reads the model's own memory as long as it lives: onnxruntime with the bytes of a model in its own format. Disposed of too
 * early, it computes with zeros and reports no error: that is what `retain` is for.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, expect, test } from 'vitest';
import { decrypt, encrypt, MasterKey } from '../../src/index.js';
import { codeOf } from '../support/failures.js';
import { temporaryFolder } from '../support/temp.js';

const EXAMPLE = new URL('../../examples/bearing-faults/model.onnx', import.meta.url);
const QUIET = { logSeverityLevel: 4 } as const;
const DIRECTLY = {
  ...QUIET,
  extra: { session: { use_ort_model_bytes_directly: '1', use_ort_model_bytes_for_initializers: '1' } },
};
const signal = new Tensor(
  'float32',
  Float32Array.from({ length: 2048 }, (_, index) => Math.sin(index)),
  [1, 1, 2048],
);
const infer = async (session: InferenceSession): Promise<readonly number[]> =>
  Array.from((await session.run({ signal })).probabilities?.data as Float32Array);

let ort: Uint8Array;
let expected: readonly number[];
beforeAll(async () => {
  const optimized = path.join(temporaryFolder(), 'model.ort');
  const options = { ...QUIET, optimizedModelFilePath: optimized, extra: { session: { save_model_format: 'ORT' } } };
  const session = await InferenceSession.create(Uint8Array.from(readFileSync(EXAMPLE)), options);
  expected = await infer(session);
  await session.release();
  ort = Uint8Array.from(readFileSync(optimized));
});

async function guarded() {
  const key = MasterKey.generate();
  const sealed = await encrypt(ort, { name: 'bearings', version: '1', recipients: [key] });
  return await decrypt(sealed, { identities: [key], unsigned: 'accept' });
}

test('without it, a session over the bytes themselves silently computes something else after dispose()', async () => {
  const model = await guarded();
  const session = await InferenceSession.create(model.bytes, DIRECTLY);
  expect(await infer(session)).toEqual(expected);
  model.dispose();
  expect(await infer(session)).not.toEqual(expected);
  await session.release();
});

test('with it, the session is right until the memory is released, which is wiped then', async () => {
  const model = await guarded();
  const release = model.retain();
  const { bytes } = model;
  const session = await InferenceSession.create(bytes, DIRECTLY);
  model.dispose();
  expect(await infer(session)).toEqual(expected);
  await session.release();
  expect(bytes.some((byte) => byte !== 0)).toBe(true);
  release();
  expect(bytes.every((byte) => byte === 0)).toBe(true);
});

test('each holder counts once', async () => {
  const model = await guarded();
  const [first, second] = [model.retain(), model.retain()];
  const { bytes } = model;
  model.dispose();
  first();
  first();
  expect(bytes.some((byte) => byte !== 0)).toBe(true);
  second();
  expect(bytes.every((byte) => byte === 0)).toBe(true);
});

test('memory that is retained outlives the last mention of its model', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const key = MasterKey.generate();
  const sealed = await encrypt(ort, { name: 'bearings', version: '1', recipients: [key] });
  const retained = await (async () => {
    const model = await decrypt(sealed, { identities: [key], unsigned: 'accept', as: 'path' });
    model.retain();
    return openSync(model.path(), 'r');
  })();
  for (let turn = 0; turn < 5; turn++) {
    collect();
    await new Promise(setImmediate);
  }
  const bytes = new Uint8Array(ort.length);
  readSync(retained, bytes, 0, bytes.length, 0);
  closeSync(retained);
  expect(Buffer.compare(bytes, ort)).toBe(0);
});

test('a model that was disposed of cannot be retained', async () => {
  const model = await guarded();
  model.dispose();
  expect(await codeOf(() => model.retain())).toBe('DISPOSED');
});
