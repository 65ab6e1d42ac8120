/** Loads and disposes, again and again; stops to be measured when it is told to. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AbortError, fileStore, load, MasterKey } from '../../src/index.js';
import { hooked } from '../support/hooked-store.js';
import { argument, hear, tell } from './dialogue.js';

const store = fileStore(argument(0));
const opening = { identities: [await MasterKey.fromFile(argument(1))], unsigned: 'accept' } as const;

async function cycle(): Promise<void> {
  const model = await load('net@1', { from: store, ...opening });
  if (model.bytes[0] === undefined) throw new Error('an empty model');
  await model.read(0, 1000);
  model.dispose();
}

async function abortedCycle(): Promise<void> {
  const controller = new AbortController();
  const from = hooked(
    store,
    (operation, count) => {
      if (operation === 'read' && count === 2) controller.abort();
    },
    { streamed: true },
  );
  try {
    await load('net@1', { from, ...opening, signal: controller.signal });
  } catch (error) {
    if (error instanceof AbortError) return;
    throw error;
  }
  throw new Error('an aborted load resolved');
}

for (;;) {
  const [word, times] = (await hear()).split(' ');
  if (word === 'end') process.exit(0);
  for (let round = 0; round < Number(times); round += 1) await (word === 'abort' ? abortedCycle() : cycle());
  for (let round = 0; round < 4; round += 1) {
    globalThis.gc?.();
    await nextTurn();
  }
  tell('measured');
}
