/** Stages of a process's or a worker's life at which it may be ended. Each says when it is reached, and never ends by itself. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DeviceKey, fileStore, load, MasterKey, memoryStore, type PartStore, passphrase, protect } from '../../src/index.js';
import { hooked } from '../support/hooked-store.js';

export interface Place {
  readonly source: string;
  readonly store: string;
  readonly master: string;
  readonly passphrase: string;
}

const never = new Promise<never>(() => undefined);
const held: unknown[] = [];
const silently = (work: Promise<unknown>): void => {
  held.push(work.catch(() => undefined));
};

const ref = { name: 'net', version: '1' } as const;
const store = (place: Place): PartStore => fileStore(place.store);
async function opening(place: Place) {
  return { from: store(place), identities: [await MasterKey.fromFile(place.master)], unsigned: 'accept' } as const;
}

export const STAGES: Readonly<Record<string, (place: Place) => Promise<void>>> = {
  'with nothing but the import': async () => undefined,
  'with keys in memory': async (place) => {
    held.push(MasterKey.generate(), DeviceKey.generate(), await MasterKey.fromFile(place.master));
  },
  'while a protect streams into a store that takes its time': async (place) => {
    const recipients = [MasterKey.generate()];
    await new Promise<void>((reached) => {
      const hold = async (operation: string): Promise<void> => {
        if (operation !== 'piece') return;
        reached();
        await never;
      };
      const to = hooked(memoryStore(), hold, { streamed: true });
      silently(protect(place.source, { ...ref, to, recipients }));
    });
  },
  'while the engine encrypts into a file': async (place) => {
    const recipients = [MasterKey.generate()];
    await new Promise<void>((reached) => {
      const to = hooked(fileStore(`${place.store}-other`), (operation) => {
        if (operation === 'localTarget') setImmediate(() => setImmediate(reached));
      });
      silently(protect(place.source, { ...ref, to, recipients, overwrite: true }));
    });
  },
  'while a load waits for its store': async (place) => {
    const options = await opening(place);
    await new Promise<void>((reached) => {
      const hold = async (operation: string, count: number): Promise<void> => {
        if (operation !== 'read' || count < 3) return;
        reached();
        await never;
      };
      silently(load(ref, { ...options, from: hooked(options.from, hold, { streamed: true }) }));
    });
  },
  'while the engine decrypts from a file': async (place) => {
    const options = await opening(place);
    await new Promise<void>((reached) => {
      const from = hooked(options.from, (operation) => {
        if (operation === 'openBig') setImmediate(() => setImmediate(reached));
      });
      silently(load(ref, { ...options, from }));
    });
  },
  'while a passphrase is being stretched': async (place) => {
    const recipients = [await passphrase({ file: place.passphrase })];
    silently(protect(place.source, { ...ref, recipients, to: memoryStore() }));
    await nextTurn();
  },
  'with a loaded model and its bytes': async (place) => {
    const model = await load(ref, await opening(place));
    held.push(model, model.bytes, model.bytes.subarray(5));
  },
  'while reads of a model are under way': async (place) => {
    const model = await load(ref, await opening(place));
    held.push(model, model.bytes);
    for (let index = 0; index < 8; index += 1) silently(model.read(index * 1000, 16_000_000));
  },
  'after dispose() with reads under way': async (place) => {
    const model = await load(ref, await opening(place));
    held.push(model, model.bytes, await model.read(0, 100_000));
    for (let index = 0; index < 8; index += 1) silently(model.read(index * 1000, 16_000_000));
    model.dispose();
  },
};

export async function reach(stage: string, place: Place): Promise<void> {
  const run = STAGES[stage];
  if (run === undefined) throw new Error(`there is no stage ${stage}`);
  await run(place);
}
