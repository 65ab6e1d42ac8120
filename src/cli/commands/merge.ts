import type { Command } from 'commander';
import { mergeFiles } from '../../index.js';
import type { Context, RunFlags } from '../context.js';
import { example, withForce, withJson, withThreads } from '../flags/common.js';
import { formatBytes } from '../text.js';

interface Flags extends RunFlags {
  readonly small: string;
  readonly big: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function registerMerge(program: Command, context: Context): void {
  const command = program
    .command('merge')
    .description('join two parts into a container, after checking that they belong together; no key is needed')
    .argument('<OUT>', 'container to write')
    .requiredOption('--small <FILE>', 'small part')
    .requiredOption('--big <FILE>', 'big part');
  withThreads(withJson(withForce(command)));
  example(command, 'model-guard merge defects.mguard --small defects.small --big defects.big');
  command.action(async (out: string, flags: Flags) => {
    const { small, big, force: overwrite = false } = flags;
    const result = await mergeFiles({ small, big }, out, { overwrite, ...context.run(flags) });
    context.print(flags.json, { file: out, ...result }, `${out}: ${formatBytes(result.bytes)}`);
  });
}
