import type { Command } from 'commander';
import { load } from '../../index.js';
import type { Context } from '../context.js';
import { example } from '../flags/common.js';
import { LOADED, type LoadFlags, loadingOf, withLoading } from '../flags/load.js';
import { writeOpened } from '../write-plaintext.js';

interface Flags extends LoadFlags {
  readonly out: string;
}

export function registerLoad(program: Command, context: Context): void {
  const command = program
    .command('load')
    .description('join and decrypt a published model, and write it in the clear')
    .argument(...LOADED)
    .requiredOption('--out <FILE|DIR|->', 'a new file, for folders a new folder, or - for stdout');
  withLoading(command);
  example(
    command,
    'model-guard load defects@3 --identity device.key --signer mgs1:… --store /srv/models --out defects.onnx',
    'model-guard load defects --guard --out - | your-program',
  );
  command.action((ref: string, flags: Flags) =>
    writeOpened(flags.out, '--out', context, async () => load(ref, { ...(await loadingOf(flags)), ...context.run(flags) })),
  );
}
