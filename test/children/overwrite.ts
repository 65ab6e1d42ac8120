/** Replaces a published model, once it is told to. The engine and libuv have made all their threads before. */
import { fileStore, MasterKey, protect } from '../../src/index.js';
import { argument, tell, waitFor } from './dialogue.js';

const [source, warmUp, target, keyFile] = [argument(0), argument(1), argument(2), argument(3)];
const key = await MasterKey.fromFile(keyFile);

async function replace(folder: string): Promise<void> {
  const to = fileStore(folder, { graceMs: 0 });
  await protect(source, { name: 'net', version: '1', recipients: [key], to, overwrite: true, threads: 1 });
}

await replace(warmUp);
await replace(warmUp);
tell('ready');
await waitFor('go');
await replace(target);
tell('done');
process.exit(0);
