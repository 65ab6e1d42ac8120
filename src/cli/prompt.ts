/** Credentials from a terminal, where nothing else gives them. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { ModelGuardError } from '../errors.js';
import type { Credentials } from '../remote/types.js';

/** What is typed as an answer to the second question is not shown. */
export async function askCredentials(): Promise<Credentials> {
  if (!process.stdin.isTTY)
    throw new ModelGuardError('INVALID_ARGUMENT', 'Nothing gives the e-mail address and the password of the account', {
      advice: 'Give a file with a line each (--credentials), or set MODEL_GUARD_EMAIL and MODEL_GUARD_PASSWORD.',
    });
  let hidden = false;
  const output = new Writable({
    write(bytes, _encoding, done) {
      if (!hidden) process.stderr.write(bytes);
      done();
    },
  });
  const terminal = createInterface({ input: process.stdin, output, terminal: true });
  const ask = (question: string): Promise<string> => new Promise((resolve) => terminal.question(question, resolve));
  try {
    const email = await ask('E-mail address: ');
    process.stderr.write('Password: ');
    hidden = true;
    const password = await ask('');
    process.stderr.write('\n');
    return { email, password };
  } finally {
    terminal.close();
  }
}
