import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

/** A full collection, and the turns of the event loop in which finalizers run. */
export async function collectGarbage(): Promise<void> {
  if (typeof collect !== 'function') throw new Error('this runtime does not expose its garbage collector');
  for (let round = 0; round < 3; round += 1) {
    collect();
    await nextTurn();
  }
}
