/**
 * Publishes a model where another one stands, or as a new one, once it is told to. The engine and libuv have made all their
 * threads before.
 */
import { fileStore, MasterKey, protect } from '../../src/index.js';
import { argument, tell, waitFor } from './dialogue.js';

const [source, warmUp, target, keyFile, ref, how] = [0, 1, 2, 3, 4, 5].map(argument);
if (!source || !warmUp || !target || !keyFile || !ref) throw new Error('an argument is empty');
const [name = '', version = ''] = ref.split('@');
const key = await MasterKey.fromFile(keyFile);

async function publish(model: string, folder: string, title: string): Promise<void> {
  const to = fileStore(folder, { graceMs: 0 });
  await protect(model, { name: title, version, recipients: [key], to, overwrite: how === 'overwrite', threads: 1 });
}

await publish(source, warmUp, 'first');
await publish(source, warmUp, how === 'overwrite' ? 'first' : 'second');
tell('ready');
await waitFor('go');
await publish(source, target, name);
tell('done');
process.exit(0);
