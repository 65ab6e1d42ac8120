import { abortable } from './abort.js';
import { openCache } from './cache/cache.js';
import { optionError } from './errors.js';
import { GuardedModel } from './model.js';
import { metadataOf, openStored, resolveOpening } from './open.js';
import { loadOptions, parse, reference } from './options.js';
import { apart, asking, defaultsOf } from './stores/parts.js';
import type { ModelRef, PartStore, StoreOptions } from './stores/store.js';
import type { LoadOptions, Reference } from './types.js';

/**
 * Fetches both parts of a model, joins them and decrypts them in guarded native memory; no plaintext touches the disk. A big part that
 * came over a network is kept as it came, encrypted, and verified again when it is used (`cache`). Warns with MODEL_GUARD_CACHE_UNUSED
 * where that cannot be done.
 *
 * @param ref `'name@version'` or `{ name, version }`. What says otherwise is refused. Without a version it is the newest one, where the
 *   store can prove which that is (`guardServer`).
 * @returns The model. Dispose of it when the runtime has its copy; a finalizer does it for the forgetful.
 * @throws VERIFIER_REQUIRED unless `verifier` or `unsigned: 'accept'` says whom to trust · INVALID_ARGUMENT, NAME_INVALID,
 *   KEY_TYPE_WRONG, KEY_INVALID · NOT_FOUND · NOT_A_CONTAINER, CONTAINER_TRUNCATED, CONTAINER_MALFORMED, VERSION_UNSUPPORTED,
 *   CRITICAL_UNSUPPORTED, LIMIT_EXCEEDED, MANIFEST_INVALID · REFERENCE_MISMATCH, SIGNATURE_MISSING, SIGNATURE_INVALID,
 *   PARTS_MISMATCH, DIGEST_MISMATCH, INTEGRITY_FAILED · NO_MATCHING_IDENTITY, DERIVATIONS_EXCEEDED, LEASE_UNTRUSTED, LEASE_NOT_YET_VALID,
 *   LEASE_EXPIRED · of `hardware()`: HARDWARE_MISMATCH, HARDWARE_UNREADABLE, SALTS_MISMATCH, TPM_UNAVAILABLE, TPM_LOCKED,
 *   TPM_REFUSED · PERMISSION_DENIED, IO_FAILED, OUT_OF_MEMORY · ABORT_ERR · from a `guardServer` what its `lease` throws
 * @see docs/format.md section 9, the order of opening
 * @example
 * using model = await load('defects@3', {
 *   from: fileStore('/srv/models'), identities: [await DeviceKey.fromFile('device.key')], verifier: 'mgs1:…',
 * });
 */
export async function load(ref: Reference, options: LoadOptions): Promise<GuardedModel> {
  const asked = parse(reference, ref, 'ref');
  const { from, identities, maxDerivations, verifier, unsigned, leaseKeys, cache, ...run } = parse(loadOptions, options);
  const { small } = apart(from);
  return await abortable(run.signal, async () => {
    const wanted = await withVersion(small, asked, run);
    const defaults = await defaultsOf(small, { for: 'opening', ref: wanted, signal: run.signal });
    const opening = resolveOpening({ identities, maxDerivations, verifier, unsigned, leaseKeys }, wanted, defaults);
    const { model, info } = await openStored(from, wanted, opening, run, openCache(cache));
    return new GuardedModel(model, metadataOf(info, opening));
  });
}

interface Asked {
  readonly name: string;
  readonly version?: string | undefined;
}

/** Most stores keep no signed statement of what is latest, and guessing one would let storage roll a model back. */
export async function withVersion(store: PartStore, { name, version }: Asked, { signal }: StoreOptions): Promise<ModelRef> {
  if (version !== undefined) return { name, version };
  if (store.latest) {
    const latest = store.latest.bind(store);
    return asking('could not tell the newest version', { name, version: 'latest' }, { signal }, () => latest(name, { signal }));
  }
  throw optionError('INVALID_ARGUMENT', 'ref', `${name} has no version, and this store keeps no signed latest`, {
    advice: `Say ${name}@VERSION.`,
  });
}
