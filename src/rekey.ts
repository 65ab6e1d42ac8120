import { z } from 'zod';
import { abortable } from './base/abort.js';
import { parse } from './base/validate.js';
import { openStored, resolveOpening } from './engine/open.js';
import {
  type DerivationOptions,
  identities,
  maxDerivations,
  ONE_ORIGIN,
  type OriginOptions,
  oneOrigin,
  originShape,
  type SealOptions,
  type SplitRule,
  sealShape,
  splitRule,
} from './engine/options.js';
import { type ProtectedModel, publish, sealing } from './engine/seal.js';
import { recipientsOf, withVersion } from './engine/store-defaults.js';
import { ModelGuardError } from './errors.js';
import type { Identity } from './recipients/kinds.js';
import { type Reference, reference, stores } from './stores/options.js';
import { defaultsOf, splitStores } from './stores/parts.js';
import type { Stores } from './stores/store.js';

export const rekeyOptions = z
  .strictObject({
    ...sealShape,
    ...originShape,
    store: stores,
    identities: identities.optional(),
    maxDerivations,
    split: splitRule.optional(),
  })
  .refine(oneOrigin, ONE_ORIGIN);

/** Options of `rekey`. */
export interface RekeyOptions extends OriginOptions, DerivationOptions, SealOptions {
  /** Where the model is and stays. */
  readonly store: Stores;
  /** 1 to 32. Default: the store's. */
  readonly identities?: readonly Identity[] | undefined;
  readonly split?: SplitRule | undefined;
}

/**
 * Encrypts a published model again under a new data key and replaces it under the same name and version. This is what to do
 * after a leak: the old data key does not open the new parts. (`rewrap` only changes who may open.)
 * The model passes through guarded memory; nothing decrypted is written.
 *
 * @param ref `'name@version'` or `{ name, version }`.
 * @throws What `load` and `protect` throw; INVALID_ARGUMENT if a verified model would lose its signature, because `signer` is
 *   missing. After any of them the old version is still there.
 * @see docs/format.md section 10
 * @example
 * await rekey('defects@3', { store, identities: [key], verifier: signer.publicKey, recipients: [newKey], signer });
 */
export async function rekey(ref: Reference, options: RekeyOptions): Promise<ProtectedModel> {
  const asked = parse(reference, ref, 'ref');
  const { store, identities, maxDerivations, verifier, unsigned, leaseKeys, signer, split, ...rest } = parse(
    rekeyOptions,
    options,
  );
  const { small } = splitStores(store);
  const { recipients: given, ...run } = rest;
  return await abortable(run.signal, async () => {
    const wanted = await withVersion(small, asked, run);
    const recipients = given ?? (await recipientsOf(small, wanted, run));
    const defaults = await defaultsOf(small, { for: 'opening', ref: wanted, signal: run.signal });
    const opening = resolveOpening({ identities, maxDerivations, verifier, unsigned, leaseKeys }, wanted, defaults);
    if (!signer && opening.trust.publishers.length > 0)
      throw new ModelGuardError('INVALID_ARGUMENT', 'options.signer: is required, or the model would lose its signature');
    const { model, opened } = await openStored(store, wanted, opening, run);
    try {
      const inputs = model.files.map(({ path }, index) => ({ path, model: { handle: model, index } }));
      return await sealing({ ref: wanted, format: opened.info.format, inputs, recipients, signer }, (sealer) =>
        publish(sealer, { ref: wanted, to: store, split, overwrite: true }, run),
      );
    } finally {
      model.dispose();
    }
  });
}
