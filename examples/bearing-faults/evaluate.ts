/** Runs a classifier in onnxruntime and counts what it gets right. */
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { classes, type Dataset, windowLength } from './simulate.js';

/** One thread, so that two runs of the same model add up in the same order and agree to the last bit. */
export function openSession(model: Uint8Array): Promise<InferenceSession> {
  return InferenceSession.create(model, { intraOpNumThreads: 1, interOpNumThreads: 1 });
}

/** Probabilities [count, classes] for all windows of a set. */
export async function classify(session: InferenceSession, { signals, count }: Dataset): Promise<Float32Array> {
  const out = new Float32Array(count * classes.length);
  const batch = 100;
  for (let start = 0; start < count; start += batch) {
    const size = Math.min(batch, count - start);
    const input = signals.subarray(start * windowLength, (start + size) * windowLength);
    const result = await session.run({ signal: new Tensor('float32', input, [size, 1, windowLength]) });
    out.set(result.probabilities.data as Float32Array, start * classes.length);
  }
  return out;
}

/** confusion[truth][answer], in windows. */
export function confusion(probabilities: ArrayLike<number>, labels: Uint8Array): number[][] {
  const table = classes.map(() => classes.map(() => 0));
  labels.forEach((truth, i) => {
    let best = 0;
    for (let k = 1; k < classes.length; k++) {
      if (probabilities[i * classes.length + k] > probabilities[i * classes.length + best]) best = k;
    }
    table[truth][best]++;
  });
  return table;
}

/** Share of windows on the diagonal. */
export function accuracy(table: number[][]): number {
  const right = table.reduce((sum, row, k) => sum + row[k], 0);
  const all = table.reduce((sum, row) => sum + row.reduce((a, b) => a + b, 0), 0);
  return right / all;
}

export function maxAbsDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    // NaN never compares greater; it must not pass as agreement.
    if (!(difference <= largest)) largest = difference;
  }
  return a.length === b.length ? largest : Number.POSITIVE_INFINITY;
}
