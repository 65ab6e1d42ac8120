/** Names, sizes and checks of parts that all stores share. Nothing here knows where parts lie. */
import { type AbortSignalLike, isAbort, throwIfAborted, untilAborted } from '../base/abort.js';
import { MAX_SMALL } from '../base/limits.js';
import { parse } from '../base/validate.js';
import { hasCode, isModelGuardError, ModelGuardError } from '../errors.js';
import { call } from '../native/index.js';
import { bigName, modelRef } from './options.js';
import type { DefaultsOptions, ModelRef, PartStore, StoreDefaults, StoreOptions, Stores } from './store.js';

export const label = ({ name, version }: ModelRef): string => `${name}@${version}`;

/** Refuses what could leave its folder; every name that reaches a path or a key goes through here. */
export function checkedRef(ref: ModelRef): ModelRef {
  return parse(modelRef, { name: ref.name, version: ref.version }, 'ref');
}
export const checkedBigName = (name: string): string => parse(bigName, name, 'name');

export const bigNameOf = (payloadId: string, offset: number): string => `${payloadId}-${offset}`;

/** The name and size of the big part that belongs to a small part. */
export function bigPartOf(small: Uint8Array): { name: string; size: number } {
  const { payloadId } = call((native) => native.inspect(small));
  const { bigOffset, bigSize } = call((native) => native.describeSmall(small));
  return { name: bigNameOf(payloadId, bigOffset), size: bigSize };
}

/**
 * The big parts that the small parts of a store name. Undefined without any small part: then this is the big half of a pair, and others
 * know what is in use.
 */
export async function referencedBy(store: PartStore, signal: StoreOptions['signal']): Promise<ReadonlySet<string> | undefined> {
  const names = new Set<string>();
  for await (const ref of store.list({ signal })) {
    try {
      names.add(bigPartOf(await store.getSmall(ref, { signal })).name);
    } catch (error) {
      // A part that vanished meanwhile refers to nothing; one that cannot be read might refer to anything.
      if (hasCode(error, 'NOT_FOUND')) continue;
      throwIfAborted(signal);
      return undefined;
    }
  }
  return names.size > 0 ? names : undefined;
}

/** Before anything is buffered: `bytes` is what the store says it holds. */
export function checkSmallSize(bytes: number, where: string): void {
  if (bytes > MAX_SMALL)
    throw new ModelGuardError('LIMIT_EXCEEDED', `${where} holds ${bytes} bytes; a small part has at most ${MAX_SMALL}`);
}

/** A stored node of the tree covers 64 chunks (docs/format.md, section 5). */
const NODE_COVERS = 64 * 16_400;
/** More cannot be the tree of a big part of that size. */
export const treeLimit = (bigSize: number): number => 32 * (Math.ceil((bigSize + MAX_SMALL) / NODE_COVERS) + 1);

/** A tree that may be missing: undefined for NOT_FOUND, and for PERMISSION_DENIED, which some storages answer for what is missing. */
export async function ifStored(read: () => Promise<Uint8Array>): Promise<Uint8Array | undefined> {
  try {
    return await read();
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'PERMISSION_DENIED')) return undefined;
    throw error;
  }
}

export function splitStores(stores: Stores): { small: PartStore; big: PartStore } {
  return 'getSmall' in stores ? { small: stores, big: stores } : stores;
}

/** After an abort a store has this long to put away what it was writing. */
const CLEANING_MS = 5_000;

interface Asking<T> {
  readonly signal?: AbortSignalLike | undefined;
  /** The store writes: it may clean up after an abort. */
  readonly writes?: boolean | undefined;
  /** Given what comes after the caller has left. */
  readonly late?: ((value: T) => unknown) | undefined;
}

/**
 * Calls a store that may not be ours: what it throws becomes an error with a code, and it is not waited for once `signal` is aborted. `action`
 * reads like "could not read the big part".
 * @throws ABORT_ERR, IO_FAILED, and what the store throws that has a code
 */
export async function withStoreErrors<T>(
  action: string,
  ref: ModelRef,
  { signal, writes = false, late }: Asking<T>,
  task: () => Promise<T>,
): Promise<T> {
  throwIfAborted(signal);
  try {
    return await untilAborted(signal, task(), { grace: writes ? CLEANING_MS : 0, late });
  } catch (cause) {
    if (isModelGuardError(cause) || (signal?.aborted && isAbort(cause, signal))) throw cause;
    throw new ModelGuardError('IO_FAILED', `The store ${action} of ${label(ref)}`, { cause });
  }
}

export const getSmall = (store: PartStore, ref: ModelRef, { signal }: StoreOptions = {}): Promise<Uint8Array> =>
  withStoreErrors('could not give the small part', ref, { signal }, () => store.getSmall(ref, { signal }));

/** The defaults of the store for one operation. */
export const defaultsOf = async (store: PartStore, options: DefaultsOptions): Promise<StoreDefaults> => {
  const { defaults = {} } = store;
  if (typeof defaults !== 'function') return defaults;
  // Called on the store: it may be a method.
  return withStoreErrors('could not tell its defaults', options.ref, options, () => defaults.call(store, options));
};
