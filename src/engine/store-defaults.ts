/** Fills in from the store what the caller left out: the version and the recipients. */
import { ModelGuardError, optionError } from '../errors.js';
import type { Recipient } from '../recipients/kinds.js';
import { defaultsOf, withStoreErrors } from '../stores/parts.js';
import type { ModelRef, PartStore, StoreOptions } from '../stores/store.js';

interface Wanted {
  readonly name: string;
  readonly version?: string | undefined;
}

/** Most stores keep no signed statement of what is latest, and guessing one would let storage roll a model back. */
export async function withVersion(store: PartStore, { name, version }: Wanted, { signal }: StoreOptions): Promise<ModelRef> {
  if (version !== undefined) return { name, version };
  if (store.latest) {
    const latest = store.latest.bind(store);
    return withStoreErrors('could not tell the newest version', { name, version: 'latest' }, { signal }, () =>
      latest(name, { signal }),
    );
  }
  throw optionError('INVALID_ARGUMENT', 'ref', `${name} has no version, and this store keeps no signed latest`, {
    advice: `Say ${name}@VERSION.`,
  });
}

/** The recipients that a store brings along. */
export async function recipientsOf(store: PartStore, ref: ModelRef, { signal }: StoreOptions): Promise<readonly Recipient[]> {
  const { recipients } = await defaultsOf(store, { for: 'sealing', ref, signal });
  if (!recipients?.length)
    throw new ModelGuardError(
      'INVALID_ARGUMENT',
      'options.recipients: is required, because this store has no default recipients',
    );
  return recipients;
}
