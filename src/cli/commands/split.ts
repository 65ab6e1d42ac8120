import type { Command } from 'commander';
import { splitFile } from '../../index.js';
import type { Context, RunFlags } from '../context.js';
import { example, splitOf, withForce, withJson, withSplitRule, withThreads } from '../flags/common.js';
import { formatBytes } from '../text.js';

interface Flags extends RunFlags {
  readonly small: string;
  readonly big: string;
  readonly maxBytes: string;
  readonly ratio: string;
  readonly force?: boolean;
  readonly json?: boolean;
}

export function registerSplit(program: Command, context: Context): void {
  const command = program
    .command('split')
    .description('cut a container into its small and its big part; no key is needed')
    .argument('<IN>', 'container')
    .requiredOption('--small <FILE>', 'small part to write')
    .requiredOption('--big <FILE>', 'big part to write; its .tree is written beside it');
  withSplitRule(withThreads(withJson(withForce(command))));
  example(command, 'model-guard split defects.mguard --small defects.small --big defects.big');
  command.action(async (input: string, flags: Flags) => {
    const { small, big, force: overwrite = false } = flags;
    const result = await splitFile(input, { small, big }, { ...splitOf(flags), overwrite, ...context.run(flags) });
    const text = `${small}: ${formatBytes(result.smallBytes)}, ${big}: ${formatBytes(result.bigBytes)}`;
    context.print(flags.json, { small, big, ...result }, text);
  });
}
