/** Exit codes of the commands of client and server, part of the contract (docs/errors.md). */
import { codeOf, ERROR_CODES, isModelGuardError } from '../errors.js';

const USAGE = 2;
const HELP = new Set(['commander.helpDisplayed', 'commander.version']);

/** An error of any copy of Commander: client and server bring one each. Commander has written its message already. */
export const isCommanderError = (error: unknown): error is Error & { readonly code: string } =>
  codeOf(error)?.startsWith('commander.') === true;

export function exitCodeOf(error: unknown): number {
  if (isCommanderError(error)) return HELP.has(error.code) ? 0 : USAGE;
  return isModelGuardError(error) ? ERROR_CODES[error.code].exit : 1;
}
