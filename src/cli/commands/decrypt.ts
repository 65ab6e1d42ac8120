import type { Command } from 'commander';
import { decryptFile } from '../../index.js';
import type { Context } from '../context.js';
import { example } from '../flags/common.js';
import { type OpenFlags, openingOf, withOpening } from '../flags/opening.js';
import { writeOpened } from '../write-plaintext.js';

interface Flags extends OpenFlags {
  readonly ref?: string;
}

export function registerDecrypt(program: Command, context: Context): void {
  const command = program
    .command('decrypt')
    .description('decrypt a container file, and write it in the clear')
    .argument('<IN>', 'container')
    .argument('<OUT>', 'a new file, for folders a new folder, or - for stdout')
    .option('--ref <NAME@VERSION>', 'refuse a container of another model or version');
  withOpening(command);
  example(command, 'model-guard decrypt defects.mguard defects.onnx --identity device.key --signer mgs1:…');
  command.action((input: string, out: string, flags: Flags) =>
    writeOpened(out, 'OUT', context, async () =>
      decryptFile(input, { ...(await openingOf(flags)), ref: flags.ref, ...context.run(flags) }),
    ),
  );
}
