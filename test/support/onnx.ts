/** ONNX models with their inputs, and whether two runs of a model gave the same. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Random } from './seed.js';
import { type PlainTensor, readTensor } from './tensor-proto.js';

export interface Example {
  readonly model: string;
  readonly inputs: readonly PlainTensor[];
  readonly outputs: readonly PlainTensor[];
}

const numbered = (folder: string, kind: 'input' | 'output'): readonly PlainTensor[] =>
  readdirSync(folder)
    .filter((name) => new RegExp(`^${kind}_\\d+\\.pb$`).test(name))
    .sort((a, b) => Number(/\d+/.exec(a)?.[0]) - Number(/\d+/.exec(b)?.[0]))
    .map((name) => readTensor(Uint8Array.from(readFileSync(path.join(folder, name)))));

/** Folders that hold test data, each with the model beside it, or else with the model of the same name elsewhere. */
export function findExamples(models: string): readonly Example[] {
  const all = readdirSync(models, { recursive: true, encoding: 'utf8' }).sort();
  const dataSets = all.filter((name) => /(^|\/)test_data_set_\d+$/.test(name));
  return dataSets.map((name) => {
    const folder = path.join(models, name);
    const beside = path.join(folder, '../model.onnx');
    const title = path.basename(path.dirname(folder));
    const elsewhere = all.find((file) => path.basename(file) === `${title}.onnx`);
    const model = existsSync(beside) ? beside : path.join(models, elsewhere ?? beside);
    return { model, inputs: numbered(folder, 'input'), outputs: numbered(folder, 'output') };
  });
}

const toTensor = ({ type, data, dims }: PlainTensor): Tensor => new Tensor(type, data, dims);

/** Feeds in the order in which the model names them. */
export function feedsFrom(session: InferenceSession, inputs: readonly PlainTensor[]): Record<string, Tensor> {
  return Object.fromEntries(
    inputs.map((input, index) => {
      const name = session.inputNames.includes(input.name) ? input.name : session.inputNames[index];
      if (name === undefined) throw new Error(`the model has no input ${index}`);
      return [name, toTensor(input)];
    }),
  );
}

// Sizes that models leave open and yet insist on, by the name of the size or of the input.
const OPEN: Readonly<Record<string, number>> = { total_seq_len: 2 };
const SHAPES: Readonly<Record<string, readonly number[]>> = { input: [1, 512] };
const SAMPLE_RATE = 16_000n;

/** Inputs for a model that came without any: seeded noise in the shapes that it asks for, 1 where it leaves a size open. */
export function noiseFor(session: InferenceSession, random: Random): Record<string, Tensor> {
  const feeds = session.inputMetadata.map((input): [string, Tensor] => {
    if (!input.isTensor) throw new Error(`${input.name} is no tensor`);
    const dims = SHAPES[input.name] ?? input.shape.map((size) => (typeof size === 'number' ? size : (OPEN[size] ?? 1)));
    const bytes = random.bytes(dims.reduce((product, size) => product * size, 1));
    switch (input.type) {
      case 'float32':
        return [
          input.name,
          new Tensor(
            'float32',
            Float32Array.from(bytes, (byte) => byte / 255),
            dims,
          ),
        ];
      case 'int32':
        return [
          input.name,
          new Tensor(
            'int32',
            Int32Array.from(bytes, (byte) => byte % 2),
            dims,
          ),
        ];
      case 'int64':
        return [
          input.name,
          new Tensor(
            'int64',
            BigInt64Array.from(bytes, () => SAMPLE_RATE),
            dims,
          ),
        ];
      default:
        throw new Error(`no noise of type ${input.type}`);
    }
  });
  return Object.fromEntries(feeds);
}

export type Results = ReadonlyMap<string, Tensor>;

export async function run(
  bytes: Uint8Array,
  feeds: (session: InferenceSession) => Record<string, Tensor>,
  options: InferenceSession.SessionOptions = {},
): Promise<Results> {
  const session = await InferenceSession.create(bytes, { logSeverityLevel: 4, ...options });
  try {
    // The runtime cannot hand out maps and sequences; what it computed them from are tensors, and those are compared.
    const names = session.outputMetadata.filter(({ isTensor }) => isTensor).map(({ name }) => name);
    const results = await session.run(feeds(session), names);
    return new Map(names.flatMap((name) => (results[name] instanceof Tensor ? [[name, results[name]] as const] : [])));
  } finally {
    await session.release();
  }
}

function numbers({ data }: { readonly data: Tensor['data'] | PlainTensor['data'] }): readonly number[] {
  return Array.from(data, Number);
}

/** Writes the graph as the runtime optimises it, in ONNX again, to `target`. Opened with OPTIMISED it is not optimised again. */
export async function optimise(bytes: Uint8Array, target: string): Promise<void> {
  const session = await InferenceSession.create(bytes, {
    logSeverityLevel: 4,
    graphOptimizationLevel: 'all',
    optimizedModelFilePath: target,
  });
  await session.release();
}
export const OPTIMISED = { graphOptimizationLevel: 'disabled' } as const;

/** Equal to the last bit. */
export function identical(a: Results, b: Results): boolean {
  if (a.size === 0 || a.size !== b.size) return false;
  return [...a].every(([name, tensor]) => {
    const other = b.get(name);
    if (other === undefined || tensor.type !== other.type || tensor.dims.join() !== other.dims.join()) return false;
    const [left, right] = [Array.from<unknown>(tensor.data), Array.from<unknown>(other.data)];
    return left.length === right.length && left.every((value, index) => Object.is(value, right[index]));
  });
}

/** Within a relative tolerance of what somebody else's runtime gave. */
export function close(results: Results, expected: readonly PlainTensor[], relative = 1e-3, absolute = 1e-5): boolean {
  const near = (got: number, want: number): boolean =>
    Object.is(got, want) || Math.abs(got - want) <= absolute + relative * Math.abs(want);
  const tensors = [...results.values()];
  return expected.every((want, index) => {
    const got = tensors[index];
    if (got === undefined || got.dims.join() !== want.dims.join()) return false;
    const [left, right] = [numbers(got), numbers(want)];
    return right.every((value, at) => near(left[at] ?? Number.NaN, value));
  });
}
