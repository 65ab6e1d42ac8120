import { z } from 'zod';
import { abortable } from './base/abort.js';
import { parse } from './base/validate.js';
import { openCache } from './cache/cache.js';
import { type CacheOptions, cacheChoice } from './cache/options.js';
import { Deriver } from './engine/derived.js';
import { GuardedModel } from './engine/model.js';
import { metadataOf, openLazily, openStored, resolveOpening } from './engine/open.js';
import {
  type DerivationOptions,
  type FormOptions,
  form,
  identities,
  maxDerivations,
  ONE_ORIGIN,
  type OriginOptions,
  oneOrigin,
  originShape,
} from './engine/options.js';
import { withVersion } from './engine/store-defaults.js';
import { type RunOptions, run } from './native/work.js';
import type { Identity } from './recipients/kinds.js';
import { type Reference, reference, stores } from './stores/options.js';
import { defaultsOf, splitStores } from './stores/parts.js';
import type { Stores } from './stores/store.js';

export const loadOptions = z
  .strictObject({
    ...run,
    ...originShape,
    from: stores,
    identities: identities.optional(),
    maxDerivations,
    as: form,
    cache: cacheChoice,
    lazy: z.boolean().optional(),
  })
  .refine(oneOrigin, ONE_ORIGIN)
  .refine(({ lazy, as }) => !lazy || as !== 'path', {
    path: ['as'],
    error: "'path' wants the whole model in memory: leave lazy out",
  });

/** Options of `load`. */
export interface LoadOptions extends OriginOptions, DerivationOptions, FormOptions, RunOptions {
  /** Where the parts are. */
  readonly from: Stores;
  /** 1 to 32. Default: the store's. */
  readonly identities?: readonly Identity[] | undefined;
  /** Where big parts that came over a network are kept, as ciphertext; `false`: nowhere. */
  readonly cache?: CacheOptions | false | undefined;
  /**
   * Leaves the payload in its store, and decrypts what `read` and `tensors` ask for, when they do; `bytes` and `use` are refused
   * (INVALID_ARGUMENT). The store stays open until `dispose()`; a read that it fails rejects with its error, and a later one may succeed.
   *
   * Each MiB that a read touches is checked against the publisher's digest first, by the tree that `protect` stored beside the part. Where that is
   * missing, `load` reads the whole part once. So it does with a part in the cache, which it reads there without the store; it puts none there.
   * With `unsigned: 'accept'` the model's key alone authenticates each chunk of 16 KiB. The keys are wiped after `dispose()`, when
   * the last read has ended and the garbage collector has freed the opened container; not when a lease ends. Default: false.
   */
  readonly lazy?: boolean | undefined;
}

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
 * @example
 * await using model = await load('llama@2', { from: httpStore('https://cdn.example.org'), identities, verifier, lazy: true });
 * const head = await (await model.tensors()).get('lm_head.weight').read();
 */
export async function load(ref: Reference, options: LoadOptions): Promise<GuardedModel> {
  const asked = parse(reference, ref, 'ref');
  const { from, identities, maxDerivations, verifier, unsigned, leaseKeys, cache, lazy, ...run } = parse(loadOptions, options);
  const { small } = splitStores(from);
  return await abortable(run.signal, async () => {
    const wanted = await withVersion(small, asked, run);
    const defaults = await defaultsOf(small, { for: 'opening', ref: wanted, signal: run.signal });
    const opening = resolveOpening({ identities, maxDerivations, verifier, unsigned, leaseKeys }, wanted, defaults);
    const open = lazy ? openLazily : openStored;
    const { model, opened } = await open(from, wanted, opening, run, openCache(cache));
    return new GuardedModel(model, metadataOf(opened.info, opening), new Deriver(opened, cache));
  });
}
