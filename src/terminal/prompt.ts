/** Asks questions at a terminal, where no flag and no file answers them. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { AbortError, ModelGuardError } from '../errors.js';

export interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

/** Asks one question; the terminal does not show a `hidden` answer. */
type Ask = (question: string, how?: 'hidden') => Promise<string>;

const PROCESS: Terminal = { input: process.stdin, output: process.stderr };

/** ABORT_ERR where the terminal is left without an answer. */
export async function askCredentials(
  terminal: Terminal = PROCESS,
): Promise<{ readonly email: string; readonly password: string }> {
  if (!terminal.input.isTTY)
    throw new ModelGuardError('INVALID_ARGUMENT', 'Nothing gives the e-mail address and the password of the account', {
      advice: 'Give a file with a line each (--credentials), or set MODEL_GUARD_EMAIL and MODEL_GUARD_PASSWORD.',
    });
  return await dialogue(terminal, async (ask) => {
    const email = await ask('E-mail address: ');
    return { email, password: await ask('Password: ', 'hidden') };
  });
}

/**
 * A new password, typed twice.
 * @throws INVALID_ARGUMENT without a terminal, and where the two differ; ABORT_ERR where the terminal is left without an answer
 */
export async function askNewPassword(terminal: Terminal = PROCESS): Promise<string> {
  if (!terminal.input.isTTY)
    throw new ModelGuardError('INVALID_ARGUMENT', 'Nothing gives the new password', {
      advice: 'Give a file that holds it (--password-file), or run this on a terminal.',
    });
  return await dialogue(terminal, async (ask) => {
    const password = await ask('New password: ', 'hidden');
    if ((await ask('The same again: ', 'hidden')) === password) return password;
    throw new ModelGuardError('INVALID_ARGUMENT', 'The two passwords differ', { advice: 'Type the same password twice.' });
  });
}

/** Asks for `yes` in full, which cannot be typed by habit. ABORT_ERR where the terminal closes without an answer. */
export const askYes = (question: string, terminal: Terminal = PROCESS): Promise<boolean> =>
  dialogue(terminal, async (ask) => (await ask(`${question} (yes) `)).trim() === 'yes');

async function dialogue<Answer>({ input, output: shown }: Terminal, task: (ask: Ask) => Promise<Answer>): Promise<Answer> {
  let hidden = false;
  const output = new Writable({
    write(bytes, _encoding, done) {
      if (!hidden) shown.write(bytes);
      done();
    },
  });
  const terminal = createInterface({ input, output, terminal: true });
  const answerTo = (question: string): Promise<string> =>
    new Promise((resolve, reject) => {
      // Ctrl-C and Ctrl-D end up here: a terminal that is read raw sends no signal.
      const left = (): void => reject(new AbortError(new Error('nothing was answered')));
      terminal.once('close', left);
      terminal.question(question, (answer) => {
        terminal.off('close', left);
        resolve(answer);
      });
    });
  const ask: Ask = async (question, how) => {
    if (how === undefined) return await answerTo(question);
    shown.write(question);
    hidden = true;
    const answer = await answerTo('');
    hidden = false;
    shown.write('\n');
    return answer;
  };
  try {
    return await task(ask);
  } finally {
    terminal.close();
  }
}
