/** From a file to the first result of onnxruntime, plain and protected. The model is an ONNX file; its input is noise. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from '../../src/index.js';
import { Random } from '../../test/support/seed.js';
import { MODEL, openingOf } from './ours.js';
import { type Subject, timed } from './subject.js';

/** Imported here, so that processes that measure other subjects do not hold the runtime. */
async function runtime() {
  const { noiseFor, OPTIMISED, optimise, run } = await import('../../test/support/onnx.js');
  const infer = (bytes: Uint8Array, options = {}) => run(bytes, (session) => noiseFor(session, new Random(1)), options);
  return { infer, optimise, OPTIMISED };
}

/** Loading a protected model is compared with this. */
export const plainInference: Subject = {
  name: 'onnxruntime, plain file',
  kind: 'inference',
  start: async ({ plain }) => {
    const { infer } = await runtime();
    return timed(async () => infer(await readFile(plain)));
  },
};

export const inferenceSubjects: readonly Subject[] = [
  plainInference,
  {
    name: 'onnxruntime, model-guard load, verified',
    kind: 'inference',
    start: async (place) => {
      const [{ infer }, opening] = [await runtime(), await openingOf(place)];
      return timed(async () => {
        using model = await load(MODEL, opening);
        await infer(model.bytes);
      });
    },
  },
  {
    name: 'onnxruntime, model-guard load and derived optimised model',
    kind: 'inference',
    start: async (place) => {
      const [{ infer, optimise, OPTIMISED }, opening] = [await runtime(), await openingOf(place)];
      const cache = { folder: join(place.folder, 'derived') };
      const first = async (): Promise<void> => {
        using model = await load(MODEL, opening);
        const artifact = { name: 'model.onnx', runtime: 'onnxruntime-node, all optimisations' };
        using optimised = await model.derived(artifact, (target) => optimise(model.bytes, target), { cache });
        await infer(optimised.bytes, OPTIMISED);
      };
      await first();
      return timed(first);
    },
  },
];
