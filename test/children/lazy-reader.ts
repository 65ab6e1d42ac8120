/** Opens a model lazily and reads one tensor of it, when it is told to; says how much memory that took at most. */
import { createHash } from 'node:crypto';
import { fileStore, httpStore, load, MasterKey } from '../../src/index.js';
import { status } from '../support/process-memory.js';
import { argument, tell, waitFor } from './dialogue.js';

const [where, keyFile, verifier, ref, name] = [0, 1, 2, 3, 4].map(argument) as [string, string, string, string, string];
const identities = [await MasterKey.fromFile(keyFile)];
const from = /^http:/.test(where) ? httpStore(where) : fileStore(where);

// The addon, its threads and the key are there before the peak is read.
tell(`ready ${status(process.pid).peakKiB}`);
await waitFor('open');
const model = await load(ref, { from, identities, verifier, cache: false, lazy: true });
tell('opened');
await waitFor('read');
const started = performance.now();
const bytes = await (await model.tensors()).get(name)?.read();
const took = performance.now() - started;
tell(
  `read ${JSON.stringify({
    sha256: createHash('sha256')
      .update(bytes ?? '')
      .digest('hex'),
    peakKiB: status(process.pid).peakKiB,
    took,
  })}`,
);
await waitFor('end');
await model[Symbol.asyncDispose]();
process.exit(0);
