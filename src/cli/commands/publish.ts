/** `publish` and `release`: a model on its way to the guard server, and from there to those who may load it. */
import type { Command } from 'commander';
import { protect } from '../../protect.js';
import type { Context, RunFlags } from '../context.js';
import {
  example,
  signingKey,
  splitOf,
  withFollowLinks,
  withForce,
  withJson,
  withResume,
  withSplitRule,
  withThreads,
} from '../flags.js';
import { type ReviewFlags, reviewedPayload, withPayload } from '../review.js';
import { type ServerFlags, serverOf, withServer } from '../server-flags.js';
import { published } from './protect.js';

interface PublishFlags extends ServerFlags, RunFlags {
  readonly name: string;
  readonly modelVersion: string;
  readonly sign: string;
  readonly force?: boolean;
  readonly followLinks?: boolean;
  readonly format?: string;
  readonly resume?: string;
  readonly maxBytes: string;
  readonly ratio: string;
  readonly json?: boolean;
}

export function registerPublish(program: Command, context: Context): void {
  const command = program
    .command('publish')
    .description('protect a file or folder and publish it on the guard server')
    .argument('<PATH>', 'file or folder')
    .requiredOption('--name <N>', 'name of the model, [a-z0-9][a-z0-9._-]{0,127}')
    .requiredOption('--model-version <V>', 'its version, same grammar')
    .requiredOption('--sign <FILE>', "the publisher's signing key file")
    .option('--format <F>', 'what the model is (default: from its extension)');
  withForce(withFollowLinks(withResume(command)), 'replace the published version');
  withThreads(withJson(withSplitRule(withServer(command))));
  example(command, 'model-guard publish defects.onnx --name defects --model-version 3 --sign publisher.key');
  command.action(async (path: string | Uint8Array, flags: PublishFlags) => {
    const result = await protect(path, {
      name: flags.name,
      version: flags.modelVersion,
      to: await serverOf(flags),
      signer: await signingKey(flags.sign),
      overwrite: flags.force ?? false,
      split: splitOf(flags),
      ...(flags.format !== undefined && { format: flags.format }),
      ...(flags.resume !== undefined && { resume: flags.resume }),
      ...(flags.followLinks && { followLinks: true }),
      ...context.run(flags),
    });
    const waits =
      result.state === 'pending'
        ? `\nIt waits for a validator or an administrator (\`model-guard release\`): payload ${result.payloadId}`
        : '';
    context.print(flags.json, result, `${published(result)}${waits}`);
  });
}

export function registerRelease(program: Command, context: Context): void {
  const command = program
    .command('release')
    .description('release a published version, so that entitled devices may load it')
    .argument('<N@V>', 'name@version')
    .option('--rollback', 'also where a newer version is released, which is then rejected');
  withJson(withServer(withPayload(command)));
  example(command, 'model-guard release defects@3 --payload 9f0c…');
  command.action(async (ref: string, flags: ServerFlags & ReviewFlags & { readonly json?: boolean }) => {
    const guard = await serverOf(flags);
    const { signal } = context;
    const payloadId = await reviewedPayload(guard, ref, flags, { signal });
    const version = await guard.release(ref, { payloadId, ...(flags.rollback && { rollback: 'accept' as const }), signal });
    context.print(flags.json, version, `${version.name}@${version.version} is released`);
  });
}
