/** Flags of commands that load a published model: where its parts are, and what opens it. */
import type { Command } from 'commander';
import type { LoadOptions } from '../../index.js';
import { type CacheFlags, cacheOf, withCache } from './cache.js';
import { usage } from './common.js';
import { originOf } from './keys.js';
import { type OpenFlags, openingOf, withOpening } from './opening.js';
import { deviceServerOf, type ServerFlags, withDevice, withPublisher, withServer } from './server.js';
import { type StoreFlags, storeOf, storesOf, withStores } from './store.js';

export interface LoadFlags extends OpenFlags, StoreFlags, ServerFlags, CacheFlags {
  readonly guard?: boolean;
}

/** The words for the argument of these commands. */
export const LOADED = ['<NAME[@VERSION]>', 'name@version; from the guard server also a name alone: the latest'] as const;

export function withLoading(command: Command): Command {
  command
    .option('--guard', 'from the guard server, with a lease for this device')
    .option('--rollback', 'with --guard: this time, also a version older than one this device has had');
  withStores(withOpening(command));
  return withCache(withPublisher(withDevice(withServer(command))));
}

export const loadingOf = async (flags: LoadFlags): Promise<LoadOptions> => ({
  ...(flags.guard ? await leased(flags) : await stored(flags)),
  ...cacheOf(flags),
});

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
