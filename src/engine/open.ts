/** Shared by `load`, `decrypt` and `rekey`: trust, opening, and loading into guarded memory. */
import type { CiphertextCache } from '../cache/cache.js';
import { type BigParts, cachedLoad, findCached } from '../cache/cached-load.js';
import { ModelGuardError, optionError } from '../errors.js';
import { resolveVerifiers } from '../keys/verifiers.js';
import type { NativeHeaderInfo, NativeModel, NativeOpened, NativeSource, NativeTrust } from '../native/binding.js';
import { call } from '../native/index.js';
import { controlled, type RunOptions } from '../native/work.js';
import { machineKeys } from '../recipients/hardware.js';
import { withKeyIds } from '../recipients/key-ids.js';
import { type Identities, resolveIdentities } from '../recipients/resolve.js';
import { bigPartOf, getSmall, label, splitStores, withStoreErrors } from '../stores/parts.js';
import type { ModelRef, OpenBigPart, PartStore, StoreDefaults, Stores } from '../stores/store.js';
import { wholeContainer } from './container.js';
import { LazyModel } from './lazy.js';
import { intoMemory, type LoadedMetadata } from './model.js';
import type { DerivationOptions, FormOptions, OriginOptions } from './options.js';
import { closePart, Reading } from './reading.js';

export interface Opening extends Identities {
  readonly trust: NativeTrust;
  readonly maxDerivations: number | undefined;
}

interface OpeningOptions extends OriginOptions, DerivationOptions {
  readonly identities?: readonly unknown[] | undefined;
}

/** Identities and verifier: the caller's, else the store's. VERIFIER_REQUIRED where neither gives a verifier. */
export function resolveOpening(
  { identities, maxDerivations, verifier, unsigned, leaseKeys }: OpeningOptions,
  ref: { readonly name?: string | undefined; readonly version?: string | undefined },
  defaults: StoreDefaults = {},
): Opening {
  const keys = identities ?? defaults.identities;
  if (!keys?.length)
    throw optionError('INVALID_ARGUMENT', 'options.identities', 'is required, because this store has no default identities');
  const trusted = unsigned ? undefined : (verifier ?? defaults.verifier);
  if (!unsigned && trusted === undefined)
    throw new ModelGuardError('VERIFIER_REQUIRED', 'Nothing says whom to trust for the origin of this model');
  const servers = (): readonly Uint8Array[] => {
    const those = leaseKeys ?? defaults.leaseKeys;
    return those === undefined ? [] : resolveVerifiers(those, 'leaseKeys');
  };
  // Wrong keys are refused before anything is fetched.
  servers();
  return {
    ...resolveIdentities(keys),
    maxDerivations,
    trust: {
      ...ref,
      publishers: trusted === undefined ? [] : resolveVerifiers(trusted, 'verifier'),
      // These are read when the small part is opened: a store learns of them while it fetches.
      get leaseKeys() {
        return servers();
      },
      get seen() {
        return defaults.lease?.seen;
      },
      get renewed() {
        return defaults.lease?.renewed;
      },
    },
  };
}

/** Steps 1 to 7 of docs/format.md section 9. Deriving keys from a passphrase or a machine is what an abort stops here. */
export function openSmall(small: Uint8Array, opening: Opening, { signal }: Pick<RunOptions, 'signal'>): Promise<NativeOpened> {
  const { identities, hardware, machineFiles, trust, maxDerivations } = opening;
  return controlled(signal, async (control) => {
    const machines = await machineKeys(machineFiles);
    return await withKeyIds(small, { identities, hardware, machines }, () =>
      call((native) => native.open({ small, identities, hardware, machines, trust, maxDerivations, control })),
    );
  });
}

/** Step 8: the payload, into guarded memory. */
export const loadPayload = (
  opened: NativeOpened,
  big: NativeSource,
  { as, ...run }: RunOptions & FormOptions,
): Promise<NativeModel> => intoMemory(opened.info.plaintextSize, run, (running) => opened.load(big, running, as));

/** A model, and what it was opened from. */
export interface OpenedModel {
  readonly model: NativeModel;
  readonly opened: NativeOpened;
}

/** Opens and decrypts a whole container. */
export async function openContainer(
  container: Uint8Array | string,
  opening: Opening,
  run: RunOptions & FormOptions,
): Promise<OpenedModel> {
  const { head, rest } = await wholeContainer(container);
  const opened = await openSmall(head, opening, run);
  return { model: await loadPayload(opened, { ...rest, sameContainer: true }, run), opened };
}

/** The small part, what it opens to, and the key under which the cache has its big part. */
async function fetchSmall(smalls: PartStore, ref: ModelRef, opening: Opening, run: RunOptions) {
  const small = await getSmall(smalls, ref, run);
  const opened = await openSmall(small, opening, run);
  const { bigOffset: offset, bigSize: size } = call((native) => native.describeSmall(small));
  return { small, opened, key: { digest: opened.info.digest, offset, size } };
}

/** Fetches, joins and decrypts `ref`; everything that was opened on the way is closed. */
export async function openStored(
  from: Stores,
  ref: ModelRef,
  opening: Opening,
  run: RunOptions & FormOptions,
  cache?: CiphertextCache,
): Promise<OpenedModel> {
  const { small: smalls, big: bigs } = splitStores(from);
  const { small, opened, key } = await fetchSmall(smalls, ref, opening, run);
  const load = (big: NativeSource) => loadPayload(opened, big, run);
  // A tree that comes early tells the first damaged range from the others, instead of the whole payload from the right one.
  const withTree = opening.trust.publishers.length > 0;
  const fromStore = (parts: BigParts) => withBigPart(parts, ref, small, run, load, { withTree });
  if (cache === undefined) return { model: await fromStore(bigs), opened };
  const model = await cachedLoad(cache, { key, bigs, fromFile: (file) => load({ file }), fromStore });
  return { model, opened };
}

/** Opens `ref` for reading on demand: the part stays open until the model is disposed of. */
export async function openLazily(
  from: Stores,
  ref: ModelRef,
  opening: Opening,
  run: RunOptions,
  cache?: CiphertextCache,
): Promise<OpenedModel> {
  const { small: smalls, big: bigs } = splitStores(from);
  const { small, opened, key } = await fetchSmall(smalls, ref, opening, run);
  const source = {
    opened,
    ref,
    openPart: (signal: RunOptions['signal']) => openPart(bigs, ref, small, { signal }),
    cached: cache && (await findCached(cache, key)),
    withTree: opening.trust.publishers.length > 0,
  };
  return { model: await LazyModel.open(source, run), opened };
}

/** Opens the big part that belongs to `small`. */
async function openPart(store: BigParts, ref: ModelRef, small: Uint8Array, { signal }: RunOptions): Promise<OpenBigPart> {
  const expected = bigPartOf(small);
  const part = await withStoreErrors('could not open the big part', ref, { signal, late: (opened) => closePart(opened) }, () =>
    store.openBig(ref, expected.name, { signal }),
  );
  if (part.size === expected.size) return part;
  await closePart(part, signal);
  throw new ModelGuardError(
    'PARTS_MISMATCH',
    `The big part of ${label(ref)} has ${part.size} bytes where its small part says ${expected.size}`,
  );
}

/** Runs `task` on the big part that belongs to `small`; ends reads under way before it is closed again. */
export async function withBigPart<T>(
  store: BigParts,
  ref: ModelRef,
  small: Uint8Array,
  run: RunOptions,
  task: (big: NativeSource) => Promise<T>,
  { withTree = false }: { readonly withTree?: boolean | undefined } = {},
): Promise<T> {
  const part = await openPart(store, ref, small, run);
  const reading = new Reading(part, ref, run.signal);
  try {
    if (part.file !== undefined) return await task({ file: part.file });
    const tree = withTree && part.remote ? await reading.tree() : undefined;
    return await task({ ...reading.source, tree });
  } finally {
    await reading.end();
    await closePart(part, run.signal);
  }
}

export function metadataOf(info: NativeHeaderInfo, { trust }: Opening): LoadedMetadata {
  const { name, version, format, created, payloadId, digest } = info;
  const origin = trust.publishers.length > 0 ? 'verified' : 'accepted';
  return { name, version, format, created, payloadId, digest, origin };
}
