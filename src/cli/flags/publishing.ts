/** Flags of commands that encrypt a model and publish its parts. */
import type { Command } from 'commander';
import { versionOf } from '../../remote/api/models.js';
import type { Context, RunFlags } from '../context.js';
import { splitOf, withFollowLinks, withForce, withJson, withResume, withSplitRule, withThreads } from './common.js';

export interface PublishingFlags extends RunFlags {
  readonly force?: boolean;
  readonly followLinks?: boolean;
  readonly format?: string;
  readonly resume?: string;
  readonly maxBytes: string;
  readonly ratio: string;
  readonly json?: boolean;
}

export const withPublishing = (command: Command): Command => {
  withForce(withFollowLinks(withResume(withFormat(command))), 'replace the published version');
  return withThreads(withJson(withSplitRule(command)));
};

export const withFormat = (command: Command): Command =>
  command.option('--format <F>', 'what the model is (default: from its extension)');

/** Options of `protect` that the flags and the reference give. @throws INVALID_ARGUMENT, NAME_INVALID */
export const publishingOf = (ref: string, flags: PublishingFlags, context: Context) => ({
  ...versionOf(ref),
  overwrite: flags.force ?? false,
  split: splitOf(flags),
  ...(flags.format !== undefined && { format: flags.format }),
  ...(flags.resume !== undefined && { resume: flags.resume }),
  ...(flags.followLinks && { followLinks: true }),
  ...context.run(flags),
});
