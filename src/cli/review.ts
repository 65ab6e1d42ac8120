/** Which payload a decision is about: the one that was reviewed, even if the version is replaced meanwhile. */
import type { Command } from 'commander';
import { AbortError, ModelGuardError } from '../errors.js';
import type { GuardServer } from '../remote/guard-server.js';
import type { ModelVersion } from '../remote/records.js';
import { plainLines, rows } from './output.js';
import { askYes, type Terminal } from './prompt.js';

export interface ReviewFlags {
  readonly payload?: string;
}
export const withPayload = (command: Command): Command =>
  command.option('--payload <ID>', 'the payload that was reviewed, as `models show` prints it (else it is shown, and asked for)');

/** Every fact of a version, a line each. */
export const factsOf = (version: ModelVersion): string =>
  rows(Object.entries(version).map(([key, one]) => [key, String(one)] as const));

/**
 * `--payload`, else the payload that is shown and confirmed at the terminal.
 * @throws INVALID_ARGUMENT where there is no terminal; ABORT_ERR where the answer is no
 */
export async function reviewedPayload(
  guard: GuardServer,
  ref: string,
  { payload }: ReviewFlags,
  options: { readonly signal: AbortSignal },
  terminal: Terminal = { input: process.stdin, output: process.stderr },
): Promise<string> {
  if (payload !== undefined) return payload;
  if (!terminal.input.isTTY)
    throw new ModelGuardError('INVALID_ARGUMENT', `Nothing says which payload of ${ref} was reviewed`, {
      advice: 'Look at it (`model-guard models show`), and give the payloadId that it prints with --payload.',
    });
  const version = await guard.models.get(ref, options);
  terminal.output.write(`${plainLines(factsOf(version))}\n`);
  if (await askYes('Is this what you have reviewed?', terminal)) return version.payloadId;
  throw new AbortError(new Error('the answer was not yes'));
}
