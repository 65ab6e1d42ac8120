/**
 * Loads a model as a path, says how it went, and holds it until it hears `end`. A fourth argument is a limit of prlimit, which counts from
 * when the modules are loaded: reading these opens many files at once.
 */
import { execFileSync } from 'node:child_process';
import { fileStore, load, MasterKey, ModelGuardError } from '../../src/index.js';
import { argument, tell, waitFor } from './dialogue.js';

const limit = process.argv[5];
if (limit !== undefined) execFileSync('prlimit', [`--pid=${process.pid}`, limit]);
const identities = [await MasterKey.fromFile(argument(1))];
try {
  const model = await load(argument(2), { from: fileStore(argument(0)), identities, unsigned: 'accept', as: 'path' });
  tell(`loaded ${model.path()}`);
  await waitFor('end');
  process.exit(0);
} catch (error) {
  if (!(error instanceof ModelGuardError)) throw error;
  tell(`${error.code} ${error.message}`);
}
