/** Exit codes, part of the contract (docs/errors.md). */
import type { Command } from 'commander';
import { codeOf, ERROR_CODES, isError, isModelGuardError } from '../errors.js';
import { causesOf, messageOf } from './messages.js';
import { StdoutClosed } from './stdout.js';

export const EXIT_HELP = `
In the place of one file, - stands for standard input or standard output.

Exit codes:
  0    done
  1    a fault of the program or of the machine
  2    wrong usage: an option, a name, or nothing said about whom to trust
  3    not a container that this version can read
  4    refused: origin, integrity, or parts that do not belong together
  5    keys and machines: none fits, or a key, passphrase, lease, salts or TPM is not valid
  6    files, folders and stores: missing, existing, unreadable, full
  7    the guard server: not reached, not trusted, or it refused
  130  interrupted (143: terminated)
  141  the reader of standard output has left`;

const USAGE = 2;
/** As the shell calls a program that SIGPIPE has ended. */
const CLOSED = 141;
const HELP = new Set(['commander.helpDisplayed', 'commander.version']);

/** An error of Commander, whichever copy of it: the server brings its own. Commander has written its message already. */
export const isCommanderError = (error: unknown): error is Error & { readonly code: string } =>
  codeOf(error)?.startsWith('commander.') === true;

export function exitCodeOf(error: unknown): number {
  if (isCommanderError(error)) return HELP.has(error.code) ? 0 : USAGE;
  if (error instanceof StdoutClosed) return CLOSED;
  return isModelGuardError(error) ? ERROR_CODES[error.code].exit : 1;
}

/** The line for stderr; with `--json` for machines. None where Commander has said its own already, or the reader of the output has left. */
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

/** None for help that was asked for, or that Commander has shown. */
const usageJson = ({ code, message }: Error & { readonly code: string }): string | undefined =>
  message.startsWith('error: ') && !HELP.has(code)
    ? JSON.stringify({ error: { code: 'INVALID_ARGUMENT', message: message.slice('error: '.length) } })
    : undefined;
