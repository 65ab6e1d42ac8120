/**
 * Fuzzes the readers of tensor tables for MG_FUZZ_SECONDS (60): `node --import tsx test/fuzz/tables.ts safetensors|gguf|onnx`. A finding is printed
 * with the model that it was found with. MG_SEED repeats a run, also one that hangs or runs out of memory: its inputs come in the same order.
 */
import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { ggufCases } from './gguf-cases.js';
import { onnxCases } from './onnx-cases.js';
import { safetensorsCases } from './safetensors-cases.js';
import type { Files } from './table-case.js';
import { checkTable } from './table-oracle.js';

const CASES = { safetensors: safetensorsCases, gguf: ggufCases, onnx: onnxCases } as const;
/** Of processor time, for a model of at most 200 KB. Time that others take from this process does not count. */
const MOST_SECONDS = 2;
/** The heap may grow by this much over all inputs together, without garbage. */
const MOST_GROWTH = 32 * 2 ** 20;

const isFormat = (text: string | undefined): text is keyof typeof CASES => text !== undefined && Object.hasOwn(CASES, text);
const described = (files: Files): string =>
  Object.entries(files)
    .map(([name, bytes]) => `${JSON.stringify(name)}: ${Buffer.from(bytes.subarray(0, 2000)).toString('base64')}`)
    .join('\n');

const [, , format] = process.argv;
if (!isFormat(format)) throw new Error(`the format is one of ${Object.keys(CASES).join(', ')}`);
if (!globalThis.gc) throw new Error('run it with --expose-gc, so that the heap can be measured');
const seed = process.env.MG_SEED === undefined ? randomInt(2 ** 31) : Number(process.env.MG_SEED);
console.log(`fuzzing the ${format} table: MG_SEED=${seed}`);

const cpuSeconds = async (task: () => Promise<unknown>): Promise<number> => {
  const started = process.cpuUsage();
  await task();
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1e6;
};

let runs = 0;
let accepted = 0;
let last: Files = {};
let before = 0;
const property = fc.asyncProperty(CASES[format], async (found) => {
  last = found.files;
  const started = performance.now();
  if (await checkTable(format, found)) accepted += 1;
  // Reading the clock of the processor for each input would cost more than the input.
  if (performance.now() - started > MOST_SECONDS * 1000) {
    const seconds = await cpuSeconds(() => checkTable(format, found));
    if (seconds > MOST_SECONDS) throw new Error(`an input takes ${seconds} s`);
  }
  runs += 1;
  // What is compiled and cached once is not growth.
  if (runs === 1000) {
    globalThis.gc?.();
    before = process.memoryUsage().heapUsed;
  }
});
const result = await fc.check(property, {
  seed,
  numRuns: Number.POSITIVE_INFINITY,
  interruptAfterTimeLimit: Number(process.env.MG_FUZZ_SECONDS ?? 60) * 1000,
  markInterruptAsFailure: false,
});
if (result.failed) {
  console.error(result.errorInstance ?? fc.defaultReportMessage(result));
  console.error(
    `the model (the first 2,000 bytes of each file, base64):\n${described(result.counterexample?.[0].files ?? last)}`,
  );
  process.exit(1);
}
globalThis.gc();
const growth = process.memoryUsage().heapUsed - before;
if (before > 0 && growth > MOST_GROWTH) throw new Error(`the heap grew by ${Math.round(growth / 2 ** 20)} MiB`);
if (accepted === 0) throw new Error('no input was accepted: the honest files no longer are');
console.log(`${runs} runs, ${accepted} accepted, heap ${(growth / 2 ** 20).toFixed(1)} MiB larger`);
