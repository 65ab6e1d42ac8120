/** Ends a command: its exit code (docs/errors.md) and the error on stderr. */
import type { Command } from 'commander';
import { isError, isModelGuardError } from '../errors.js';
import { exitCodeOf, isCommanderError } from '../terminal/exit.js';
import { causesOf, messageOf } from './messages.js';
import { NotStarted } from './run-program.js';
import { StdoutClosed } from './stdout.js';

export const EXIT_HELP = `
In the place of one file, - stands for standard input or standard output.

Exit codes:
  0    done
  1    a fault of the program or of the machine
  2    wrong usage: an option, a name, or no trusted publisher given
  3    not a container that this version can read
  4    refused: origin, integrity, or parts that do not belong together
  5    keys and machines: none fits, or a key, passphrase, lease, salts or TPM is not valid
  6    files, folders and stores: missing, existing, unreadable, full
  7    the guard server: not reached, not trusted, or it refused
  130  interrupted (143: terminated)
  141  the reader of standard output has left
\`run\` ends with the code of its program: 128 and the number of the signal that ended it, 127 if it cannot be found, 126 if it cannot be
executed.`;

/** The status that a shell gives to a program which SIGPIPE ended. */
const CLOSED = 141;

export function exitOf(error: unknown): number {
  if (error instanceof StdoutClosed) return CLOSED;
  return error instanceof NotStarted ? error.exit : exitCodeOf(error);
}

/** The line for stderr; with `--json` for machines. Undefined where Commander has written its own, or the reader of the output has left. */
export function errorText(error: unknown, json: boolean, command?: Command): string | undefined {
  const causes = command?.getOptionValue('verbose') ? causesOf(error) : undefined;
  if (isCommanderError(error)) return json ? usageJson(error) : undefined;
  if (error instanceof StdoutClosed) return undefined;
  const known = isModelGuardError(error);
  const message = known ? messageOf(error, command) : isError(error) ? error.message : String(error);
  const { code, outcome } = known ? error : { code: 'INTERNAL', outcome: undefined };
  return json
    ? JSON.stringify({ error: { code, message, outcome, causes } })
    : [`model-guard: ${message} [${code}]`, ...(causes ?? []).map((cause) => `  because: ${cause}`)].join('\n');
}

/** Undefined for help: its message does not begin with `error: `. */
const usageJson = ({ message }: Error): string | undefined =>
  message.startsWith('error: ')
    ? JSON.stringify({ error: { code: 'INVALID_ARGUMENT', message: message.slice('error: '.length) } })
    : undefined;
