/** From a file to the first result of onnxruntime, plain and protected. The model is an ONNX file; its input is noise. */
import { readFile } from 'node:fs/promises';
import { load } from '../../src/index.js';
import { Random } from '../../test/support/seed.js';
import { MODEL, openingOf } from './ours.js';
import { type Subject, timed } from './subject.js';

/** Imported here, so that processes that measure other subjects do not hold the runtime. */
async function firstResult(): Promise<(bytes: Uint8Array) => Promise<unknown>> {
  const { noiseFor, run } = await import('../../test/support/onnx.js');
  return (bytes) => run(bytes, (session) => noiseFor(session, new Random(1)));
}

/** Loading a protected model is compared with this. */
export const plainInference: Subject = {
  name: 'onnxruntime, plain file',
  kind: 'inference',
  start: async ({ plain }) => {
    const infer = await firstResult();
    return timed(async () => infer(await readFile(plain)));
  },
};

export const inferenceSubjects: readonly Subject[] = [
  plainInference,
  {
    name: 'onnxruntime, model-guard load, verified',
    kind: 'inference',
    start: async (place) => {
      const [infer, opening] = [await firstResult(), await openingOf(place)];
      return timed(async () => {
        using model = await load(MODEL, opening);
        await infer(model.bytes);
      });
    },
  },
];
