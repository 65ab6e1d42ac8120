/** A worker that loads a model as a path, tells it, and disposes of the model when it is told so. */
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { fileStore, load, MasterKey } from '../../src/index.js';

const { store, key, ref } = workerData as Readonly<Record<'store' | 'key' | 'ref', string>>;
const port = parentPort as NonNullable<typeof parentPort>;
const identities = [await MasterKey.fromFile(key)];
const model = await load(ref, { from: fileStore(store), identities, unsigned: 'accept', as: 'path' });
const told = once(port, 'message');
port.postMessage(model.path());
await told;
model.dispose();
