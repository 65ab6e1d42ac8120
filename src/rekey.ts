import { abortable } from './abort.js';
import { ModelGuardError } from './errors.js';
import { withVersion } from './load.js';
import { openStored, resolveOpening } from './open.js';
import { parse, reference, rekeyOptions } from './options.js';
import { recipientsOf } from './protect.js';
import { publish, sealing } from './seal.js';
import { apart, defaultsOf } from './stores/parts.js';
import type { ProtectedModel, Reference, RekeyOptions } from './types.js';

/**
 * Encrypts a published model again under a new data key and replaces it under the same name and version. This is what to do
 * after a leak: whoever held the old data key cannot use it on the new parts. (`rewrap` only changes who may open.)
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
  const { small } = apart(store);
  const { recipients: given, ...run } = rest;
  return await abortable(run.signal, async () => {
    const wanted = await withVersion(small, asked, run);
    const recipients = given ?? (await recipientsOf(small, wanted, run));
    const defaults = await defaultsOf(small, { for: 'opening', ref: wanted, signal: run.signal });
    const opening = resolveOpening({ identities, maxDerivations, verifier, unsigned, leaseKeys }, wanted, defaults);
    if (!signer && opening.trust.publishers.length > 0)
      throw new ModelGuardError('INVALID_ARGUMENT', 'options.signer: is required, or the model would lose its signature');
    const { model, info } = await openStored(store, wanted, opening, run);
    try {
      const inputs = model.files.map(({ path }, index) => ({ path, model: { handle: model, index } }));
      return await sealing({ ref: wanted, format: info.format, inputs, recipients, signer }, (sealer) =>
        publish(sealer, { ref: wanted, to: store, split, overwrite: true }, run),
      );
    } finally {
      model.dispose();
    }
  });
}
