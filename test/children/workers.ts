/** Four workers load at the same time. */
import { once } from 'node:events';
import { argument, tell } from './dialogue.js';
import { startWorker } from './start-worker.js';

const WORKERS = 4;
const task = { store: argument(0), key: argument(1), times: Number(argument(2)) };
const workers = Array.from({ length: WORKERS }, () => startWorker('./load-worker.ts', task));
const answers = await Promise.all(
  workers.map(async (worker) => {
    const ended = once(worker, 'exit');
    const [answer] = await once(worker, 'message');
    await ended;
    return String(answer);
  }),
);
tell(`hashes ${answers.join()}`);
