/** Names the reviewed payload of a decision, so that a version that was replaced since is not decided about. */
import type { Command } from 'commander';
import { AbortError, ModelGuardError } from '../../errors.js';
import type { GuardServer, ModelVersion } from '../../index.js';

import { askYes, type Terminal } from '../../terminal/prompt.js';
import { plainLines, rows } from '../text.js';

export interface ReviewFlags {
  readonly payload?: string;
}
export const withPayload = (command: Command): Command =>
  command.option(
    '--payload <ID>',
    'the payload that was reviewed, as `models show` prints it (default: it is shown, and a yes is asked for)',
  );

/** Every fact of a version, a line each, under the labels that `protect`, `publish` and `inspect` print. */
export const factsOf = (version: ModelVersion): string =>
  rows(Object.entries(version).map(([name, one]) => [labelOf(name), String(one)] as const));

const labelOf = (name: string): string =>
  name === 'digest' ? 'payload digest' : name.replaceAll(/[A-Z]/g, (capital) => ` ${capital.toLowerCase()}`);

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
      advice: 'Look at it (`model-guard models show`), and give the payload id that it prints with --payload.',
    });
  const version = await guard.models.get(ref, options);
  terminal.output.write(`${plainLines(factsOf(version))}\n`);
  if (await askYes('Is this what you have reviewed?', terminal)) return version.payloadId;
  throw new AbortError(new Error('the answer was not yes'));
}
