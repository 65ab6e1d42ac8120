import type { Command } from 'commander';
import type { Context } from '../context.js';
import { example, withJson } from '../flags/common.js';
import { type ReviewFlags, reviewedPayload, withPayload } from '../flags/review.js';
import { type ServerFlags, serverOf, withServer } from '../flags/server.js';

interface Flags extends ServerFlags, ReviewFlags {
  readonly json?: boolean;
}

export function registerRelease(program: Command, context: Context): void {
  const command = program
    .command('release')
    .description('release a published version, so that entitled devices may load it')
    .argument('<NAME@VERSION>', 'name and version')
    .option('--rollback', 'also where a newer version is released, which is then rejected');
  withJson(withServer(withPayload(command)));
  example(command, 'model-guard release defects@3 --payload 9f0c…');
  command.action(async (ref: string, flags: Flags) => {
    const guard = await serverOf(flags);
    const { signal } = context;
    const payloadId = await reviewedPayload(guard, ref, flags, { signal });
    const version = await guard.release(ref, { payloadId, ...(flags.rollback && { rollback: 'accept' as const }), signal });
    context.print(flags.json, version, `${version.name}@${version.version} is released`);
  });
}
