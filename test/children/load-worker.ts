/** Loads a model over and over and says what it saw. */
import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { fileStore, load, MasterKey } from '../../src/index.js';

interface Task {
  readonly store: string;
  readonly key: string;
  readonly times: number;
}

function isTask(value: unknown): value is Task {
  return typeof value === 'object' && value !== null && 'store' in value && 'key' in value && 'times' in value;
}

if (!isTask(workerData) || parentPort === null) throw new Error('this is a worker, and wants a store, a key and a number');
const identities = [await MasterKey.fromFile(workerData.key)];
const from = fileStore(workerData.store);
const seen = new Set<string>();
for (let round = 0; round < workerData.times; round += 1) {
  // Two at once in each worker as well.
  const models = await Promise.all([0, 1].map(() => load('net@1', { from, identities, unsigned: 'accept' })));
  for (const model of models) {
    seen.add(createHash('sha256').update(model.bytes).digest('hex'));
    model.dispose();
  }
}
parentPort.postMessage([...seen].join());
