/** Flags that many commands take, and helpers to read values. */
import type { Command } from 'commander';
import { ModelGuardError } from '../../errors.js';

// One value per flag: a variadic option would swallow the positional that follows it.
export const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export const withSplitRule = (command: Command): Command =>
  command
    .option('--max-bytes <N>', 'bytes of the small part at most, 0 to 16777216', '3072')
    .option('--ratio <X>', 'the small part at most this part of the whole, 0 to 0.9', '0.3');

export const withJson = (command: Command): Command => command.option('--json', 'write the result as JSON');

export const withThreads = (command: Command): Command => command.option('--threads <N>', 'threads to use (default: all cores)');

export const withResume = (command: Command): Command =>
  command.option(
    '--resume <DIR>',
    'stage the ciphertext here, so that after a crash the same command sends only what is missing',
  );

export const withFollowLinks = (command: Command): Command =>
  command.option('--follow-links', 'follow symbolic links in a folder, also out of it (snapshots of a Hugging Face cache)');

export const withForce = (command: Command, what = 'replace what exists'): Command => command.option('--force', what);

export const example = (command: Command, ...lines: readonly string[]): Command =>
  command.addHelpText('after', `\nExample:\n${lines.map((line) => `  ${line}`).join('\n')}`);

export function splitOf({ maxBytes, ratio }: { readonly maxBytes: string; readonly ratio: string }) {
  return { maxBytes: numberOf(maxBytes), ratio: numberOf(ratio) };
}

/** NaN, which every option refuses, for text other than decimal digits: `Number` takes '' for 0. */
export const numberOf = (text: string): number => (/^-?[0-9]+(\.[0-9]+)?$/.test(text) ? Number(text) : Number.NaN);

export const usage = (what: string): ModelGuardError => new ModelGuardError('INVALID_ARGUMENT', what);
