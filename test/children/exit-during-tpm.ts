/** Binds something to this machine's TPM, and exits at a word, whatever the TPM is at. */
import { createInterface } from 'node:readline';
import { exportMachine } from '../../src/index.js';

const [file = ''] = process.argv.slice(2);
exportMachine(file, { tpm: 'required', factors: ['cpu'] }).then(
  () => process.stdout.write('done\n'),
  () => undefined,
);
createInterface({ input: process.stdin }).once('line', () => {
  process.stdout.write('leaving\n', () => process.exit(7));
});
