import type { Command } from 'commander';
import { type LoadOptions, load } from '../../index.js';
import type { Context } from '../context.js';
import { type CacheFlags, cacheOf, withCache } from '../flags/cache.js';
import { example, usage } from '../flags/common.js';
import { originOf } from '../flags/keys.js';
import { type OpenFlags, openingOf, withOpening } from '../flags/opening.js';
import { deviceServerOf, type ServerFlags, withDevice, withPublisher, withServer } from '../flags/server.js';
import { type StoreFlags, storeOf, storesOf, withStores } from '../flags/store.js';
import { writeOpened } from '../write-plaintext.js';

interface LoadFlags extends OpenFlags, StoreFlags, ServerFlags, CacheFlags {
  readonly out: string;
  readonly guard?: boolean;
}

export function registerLoad(program: Command, context: Context): void {
  const command = program
    .command('load')
    .description('join and decrypt a published model, and write it in the clear')
    .argument('<NAME[@VERSION]>', 'name@version; from the guard server also a name alone: the latest')
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
    writeOpened(flags.out, '--out', context, async () =>
      load(ref, { ...(flags.guard ? await leased(flags) : await stored(flags)), ...cacheOf(flags), ...context.run(flags) }),
    ),
  );
}

const stored = async (flags: LoadFlags): Promise<LoadOptions> => ({
  from: storesOf(flags),
  ...(await openingOf(flags)),
});

/** The device's key opens, and the publishers that are pinned for this server are trusted, unless flags say otherwise. */
async function leased(flags: LoadFlags): Promise<LoadOptions> {
  if (flags.store ?? flags.smallStore ?? flags.identity ?? flags.passphraseFile ?? flags.hardware ?? flags.maxDerivations)
    throw usage('--guard takes the parts from the server and opens them with the device key: leave out stores and identities');
  const big = flags.bigStore === undefined ? undefined : storeOf('--big-store', flags.bigStore, flags);
  const small = await deviceServerOf(flags);
  return { from: big ? { small, big } : small, ...(flags.signer || flags.unsigned ? await originOf(flags) : {}) };
}
