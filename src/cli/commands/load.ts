import type { Command } from 'commander';
import { decryptFile } from '../../decrypt.js';
import { refuseExisting } from '../../files.js';
import { load } from '../../load.js';
import type { GuardedModel } from '../../model.js';
import type { LoadOptions } from '../../types.js';
import { type CacheFlags, cacheOf, withCache } from '../cache-flags.js';
import type { Context, RunFlags } from '../context.js';
import {
  example,
  type IdentityFlags,
  type OriginFlags,
  openersOf,
  originOf,
  usage,
  withIdentities,
  withOrigin,
  withPassphrase,
  withThreads,
} from '../flags.js';
import { writePlaintext } from '../plaintext.js';
import { deviceServerOf, type ServerFlags, withDevice, withPublisher, withServer } from '../server-flags.js';
import { type StoreFlags, storeOf, storesOf, withStores } from '../store-flags.js';

interface OpenFlags extends IdentityFlags, OriginFlags, RunFlags {}
interface LoadFlags extends OpenFlags, StoreFlags, ServerFlags, CacheFlags {
  readonly out: string;
  readonly guard?: boolean;
}

const withOpening = (command: Command): Command => withThreads(withOrigin(withPassphrase(withIdentities(command), 'identity')));

export function registerLoad(program: Command, context: Context): void {
  const command = program
    .command('load')
    .description('join and decrypt a published model, and write it in the clear')
    .argument('<N[@V]>', 'name@version; from the guard server also a name alone: the latest')
    .requiredOption('--out <FILE|DIR|->', 'a new file, for folders a new folder, or - for stdout')
    .option('--guard', 'from the guard server, with a lease for this device')
    .option('--rollback', 'with --guard: this time, also a version older than one this device has had');
  withStores(withOpening(command));
  withCache(withPublisher(withDevice(withServer(command))));
  example(
    command,
    'model-guard load defects@3 --identity device.key --signer mgs1:… --store /srv/models --out defects.onnx',
    'model-guard load defects --guard --out - | your-program',
  );
  command.action((ref: string, flags: LoadFlags) =>
    release(flags.out, '--out', context, async () =>
      load(ref, { ...(flags.guard ? await leased(flags) : await stored(flags)), ...cacheOf(flags), ...context.run(flags) }),
    ),
  );
}

const stored = async (flags: LoadFlags): Promise<LoadOptions> => ({
  from: storesOf(flags),
  ...(await openersOf(flags)),
  ...(await originOf(flags)),
});

/** The device's key opens, and the publishers that are pinned for this server are trusted, unless flags say otherwise. */
async function leased(flags: LoadFlags): Promise<LoadOptions> {
  if (flags.store ?? flags.smallStore ?? flags.identity ?? flags.passphraseFile ?? flags.hardware ?? flags.maxDerivations)
    throw usage('--guard takes the parts from the server and opens them with the device key: leave out stores and identities');
  const big = flags.bigStore === undefined ? undefined : storeOf('--big-store', flags.bigStore, flags);
  const small = await deviceServerOf(flags);
  return { from: big ? { small, big } : small, ...(flags.signer || flags.unsigned ? await originOf(flags) : {}) };
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
      decryptFile(input, { ...(await openersOf(flags)), ...(await originOf(flags)), ...context.run(flags) }),
    ),
  );
}

async function release(out: string, asked: string, context: Context, open: () => Promise<GuardedModel>): Promise<void> {
  if (out !== '-') await refuseExisting(out);
  const model = await open();
  try {
    context.note(`Plaintext leaves protected memory, because ${asked} asks for it: ${out === '-' ? 'stdout' : out}`);
    await writePlaintext(model, out, context);
  } finally {
    await model[Symbol.asyncDispose]();
  }
}
