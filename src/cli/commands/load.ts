import type { Command } from 'commander';
import { decryptFile } from '../../decrypt.js';
import { refuseExisting } from '../../files.js';
import { load } from '../../load.js';
import type { GuardedModel } from '../../model.js';
import type { Context, RunFlags } from '../context.js';
import {
  example,
  type IdentityFlags,
  identitiesOf,
  type OriginFlags,
  originOf,
  type StoreFlags,
  storesOf,
  withIdentities,
  withOrigin,
  withPassphrase,
  withStores,
  withThreads,
} from '../flags.js';
import { writePlaintext } from '../plaintext.js';

interface OpenFlags extends IdentityFlags, OriginFlags, RunFlags {}
interface LoadFlags extends OpenFlags, StoreFlags {
  readonly out: string;
}

const withOpening = (command: Command): Command => withThreads(withOrigin(withPassphrase(withIdentities(command), 'identity')));

export function registerLoad(program: Command, context: Context): void {
  const command = program
    .command('load')
    .description('join and decrypt a published model, and write it in the clear')
    .argument('<N@V>', 'name@version')
    .requiredOption('--out <FILE|DIR|->', 'a new file, for folders a new folder, or - for stdout');
  withStores(withOpening(command));
  example(command, 'model-guard load defects@3 --identity device.key --signer mgs1:… --store /srv/models --out defects.onnx');
  command.action((ref: string, flags: LoadFlags) =>
    release(flags.out, '--out', context, async () =>
      load(ref, {
        from: storesOf(flags),
        identities: await identitiesOf(flags),
        ...(await originOf(flags)),
        ...context.run(flags),
      }),
    ),
  );
}

export function registerDecrypt(program: Command, context: Context): void {
  const command = program
    .command('decrypt')
    .description('decrypt a container file, and write it in the clear')
    .argument('<IN>', 'container')
    .argument('<OUT>', 'a new file, for folders a new folder, or - for stdout');
  withOpening(command);
  example(command, 'model-guard decrypt defects.mguard defects.onnx --identity device.key --signer mgs1:…');
  command.action((input: string, out: string, flags: OpenFlags) =>
    release(out, 'OUT', context, async () =>
      decryptFile(input, { identities: await identitiesOf(flags), ...(await originOf(flags)), ...context.run(flags) }),
    ),
  );
}

async function release(out: string, asked: string, context: Context, open: () => Promise<GuardedModel>): Promise<void> {
  if (out !== '-') await refuseExisting(out);
  const model = await open();
  try {
    context.note(`Plaintext leaves protected memory, because ${asked} asks for it: ${out === '-' ? 'stdout' : out}`);
    await writePlaintext(model, out, context.signal);
  } finally {
    await model[Symbol.asyncDispose]();
  }
}
