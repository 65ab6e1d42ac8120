import { parentPort, workerData } from 'node:worker_threads';
import { type Place, reach } from './stages.js';

interface Task {
  readonly stage: string;
  readonly place: Place;
}

function isTask(value: unknown): value is Task {
  return typeof value === 'object' && value !== null && 'stage' in value && 'place' in value;
}

if (!isTask(workerData) || parentPort === null) throw new Error('this is a worker, and wants a stage');
parentPort.ref();
await reach(workerData.stage, workerData.place);
parentPort.postMessage('reached');
parentPort.on('message', () => undefined); // stays until it is terminated
