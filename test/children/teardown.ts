/** Reaches a stage of life, here or in a worker, and ends there as it is told to. */
import { once } from 'node:events';
import { argument, tell } from './dialogue.js';
import { type Place, reach } from './stages.js';
import { startWorker } from './start-worker.js';

const [stage, how] = [argument(0), argument(1)];
const place: Place = { source: argument(2), store: argument(3), master: argument(4), passphrase: argument(5) };

if (how === 'exit') {
  await reach(stage, place);
  tell('reached');
  process.exit(0); // at once, while what was begun is still under way
}

// Several times, since the end falls into another moment each time.
for (let round = 0; round < 5; round += 1) {
  const worker = startWorker('./stage-worker.ts', { stage, place });
  await once(worker, 'message');
  await worker.terminate();
}
tell('reached');
// The process that lost its workers still works.
await reach('with a loaded model and its bytes', place);
tell('healthy');
process.exit(0);
