/** What `load`, `decrypt` and `rekey` share: whom to trust, opening, and loading into guarded memory. */
import { ModelGuardError } from './errors.js';
import { type Identities, machineKeys, resolveIdentities, resolveVerifiers } from './keys/resolve.js';
import { intoMemory, type LoadedMetadata } from './model.js';
import type { NativeHeaderInfo, NativeModel, NativeOpened, NativeSource, NativeTrust } from './native/binding.js';
import { call } from './native/index.js';
import { controlled, type RunOptions } from './native/work.js';
import { apart, asking, bigPartOf, getSmall, label } from './stores/parts.js';
import type { ModelRef, OpenBigPart, PartStore, StoreDefaults, Stores } from './stores/store.js';
import type { OriginOptions } from './types.js';

export interface Opening extends Identities {
  readonly trust: NativeTrust;
}

interface Asked extends OriginOptions {
  readonly identities?: readonly unknown[] | undefined;
}

/** Who may open and who is trusted: what the caller said, else what the store brings. VERIFIER_REQUIRED if nobody says. */
export function resolveOpening(
  { identities, verifier, unsigned, leaseKeys }: Asked,
  ref: { readonly name?: string | undefined; readonly version?: string | undefined },
  defaults: StoreDefaults = {},
): Opening {
  const keys = identities ?? defaults.identities;
  if (!keys?.length)
    throw new ModelGuardError(
      'INVALID_ARGUMENT',
      'options.identities: is required, because this store has no default identities',
    );
  const trusted = unsigned ? undefined : (verifier ?? defaults.verifier);
  if (!unsigned && trusted === undefined)
    throw new ModelGuardError('VERIFIER_REQUIRED', 'Nothing says whom to trust for the origin of this model');
  const servers = (): readonly Uint8Array[] => {
    const those = leaseKeys ?? defaults.leaseKeys;
    return those === undefined ? [] : resolveVerifiers(those, 'leaseKeys');
  };
  // What is wrong with them is said before anything is fetched.
  servers();
  return {
    ...resolveIdentities(keys),
    trust: {
      ...ref,
      publishers: trusted === undefined ? [] : resolveVerifiers(trusted, 'verifier'),
      // A store may learn of a server's next key while it fetches.
      get leaseKeys() {
        return servers();
      },
      now: Math.floor(Date.now() / 1000),
    },
  };
}

/** Steps 1 to 7 of docs/format.md section 9. Deriving keys from a passphrase or a machine is what an abort stops here. */
export function openSmall(small: Uint8Array, opening: Opening, { signal }: Pick<RunOptions, 'signal'>): Promise<NativeOpened> {
  const { identities, hardware, machineFiles, trust } = opening;
  return controlled(signal, async (control) => {
    const machines = await machineKeys(machineFiles);
    return await call((native) => native.open({ small, identities, hardware, machines, trust, control }));
  });
}

/** Step 8: the payload, into guarded memory. */
export const loadPayload = (opened: NativeOpened, big: NativeSource, run: RunOptions): Promise<NativeModel> =>
  intoMemory(opened.info.plaintextSize, run, (running) => opened.load(big, running));

/** Fetches, joins and decrypts `ref`; everything that was opened on the way is closed. */
export async function openStored(
  from: Stores,
  ref: ModelRef,
  opening: Opening,
  run: RunOptions,
): Promise<{ model: NativeModel; info: NativeHeaderInfo }> {
  const { small: smalls, big: bigs } = apart(from);
  const small = await getSmall(smalls, ref, run);
  const opened = await openSmall(small, opening, run);
  const model = await withBigPart(bigs, ref, small, run, (big) => loadPayload(opened, big, run));
  return { model, info: opened.info };
}

/** Opens the big part that belongs to `small`; waits for reads under way before it is closed again. */
export async function withBigPart<T>(
  store: PartStore,
  ref: ModelRef,
  small: Uint8Array,
  { signal }: RunOptions,
  task: (big: NativeSource) => Promise<T>,
): Promise<T> {
  const expected = bigPartOf(small);
  const part = await asking('could not open the big part', ref, { signal }, () => store.openBig(ref, expected.name, { signal }));
  const reads = new Set<Promise<unknown>>();
  try {
    if (part.size !== expected.size)
      throw new ModelGuardError(
        'PARTS_MISMATCH',
        `The big part of ${label(ref)} has ${part.size} bytes where its small part says ${expected.size}`,
      );
    return await task(part.file === undefined ? scripted(part, ref, reads, signal) : { file: part.file });
  } finally {
    await Promise.allSettled(reads);
    await part.close();
  }
}

function scripted(part: OpenBigPart, ref: ModelRef, reads: Set<Promise<unknown>>, signal: RunOptions['signal']): NativeSource {
  return {
    size: part.size,
    read: (offset, length) => {
      const reading = asking('could not read the big part', ref, { signal }, () => part.read(offset, length, { signal }));
      reads.add(reading);
      const over = () => reads.delete(reading);
      reading.then(over, over);
      return reading;
    },
  };
}

export function metadataOf(info: NativeHeaderInfo, { trust }: Opening): LoadedMetadata {
  const { name, version, format, created, payloadId, digest } = info;
  const origin = trust.publishers.length > 0 ? 'verified' : 'accepted';
  return { name, version, format, created, payloadId, digest, origin };
}
