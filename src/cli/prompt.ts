/** Credentials from a terminal, where nothing else gives them. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { AbortError, ModelGuardError } from '../errors.js';
import type { Credentials } from '../remote/types.js';

interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

/** What is typed as an answer to the second question is not shown. ABORT_ERR for who leaves without one. */
export async function askCredentials(
  { input, output: shown }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<Credentials> {
  if (!input.isTTY)
    throw new ModelGuardError('INVALID_ARGUMENT', 'Nothing gives the e-mail address and the password of the account', {
      advice: 'Give a file with a line each (--credentials), or set MODEL_GUARD_EMAIL and MODEL_GUARD_PASSWORD.',
    });
  let hidden = false;
  const output = new Writable({
    write(bytes, _encoding, done) {
      if (!hidden) shown.write(bytes);
      done();
    },
  });
  const terminal = createInterface({ input, output, terminal: true });
  const ask = (question: string): Promise<string> =>
    new Promise((resolve, reject) => {
      // Ctrl-C and Ctrl-D end up here: a terminal that is read raw sends no signal.
      const left = (): void => reject(new AbortError(new Error('nothing was answered')));
      terminal.once('close', left);
      terminal.question(question, (answer) => {
        terminal.off('close', left);
        resolve(answer);
      });
    });
  try {
    const email = await ask('E-mail address: ');
    shown.write('Password: ');
    hidden = true;
    const password = await ask('');
    shown.write('\n');
    return { email, password };
  } finally {
    terminal.close();
  }
}
