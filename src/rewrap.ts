import { z } from 'zod';
import type { AbortSignalLike } from './base/abort.js';
import { copyOf, parse, signal } from './base/validate.js';
import { type DerivationOptions, identities, maxDerivations, recipients } from './engine/options.js';
import { resolveVerifiers, type Verifier, verifier } from './keys/verifiers.js';
import { call } from './native/index.js';
import { controlled } from './native/work.js';
import { machineKeys } from './recipients/hardware.js';
import { withKeyIds } from './recipients/key-ids.js';
import type { Identity, Recipient } from './recipients/kinds.js';
import { resolveIdentities, resolveRecipients } from './recipients/resolve.js';

export const rewrapOptions = z.strictObject({
  identities,
  maxDerivations,
  recipients,
  verifier: verifier.optional(),
  signal: signal.optional(),
});

/** Options of `rewrap`. */
export interface RewrapOptions extends DerivationOptions {
  /** 1 to 32. */
  readonly identities: readonly Identity[];
  /** The new recipients; they replace the old ones. */
  readonly recipients: readonly Recipient[];
  /** Refuses a small part that none of these publishers signed. */
  readonly verifier?: Verifier | undefined;
  /** Cancels; the promise then rejects with an AbortError whose `cause` is the signal's reason. */
  readonly signal?: AbortSignalLike | undefined;
}

/**
 * A small part for other recipients. Core, digest, publisher's signature and the big part stay as they are, whatever the model's
 * size. It stops *new* openings only: a data key that was copied goes on working; after a leak, use `rekey`.
 * @param smallPart A small part; copied before the call returns.
 * @returns The new small part. Its big part keeps its name.
 * @throws NO_MATCHING_IDENTITY, DERIVATIONS_EXCEEDED, POLICY_PRESENT, INTEGRITY_FAILED · SIGNATURE_MISSING, SIGNATURE_INVALID if a `verifier` was given ·
 *   NOT_A_CONTAINER, CONTAINER_TRUNCATED, CONTAINER_MALFORMED · INVALID_ARGUMENT, KEY_INVALID, KEY_TYPE_WRONG · what `hardware`
 *   throws · ABORT_ERR
 * @see docs/format.md section 10
 * @example
 * const forDevice = await rewrap(await store.getSmall(ref), { identities: [key], recipients: ['mgd1:…'] });
 */
export async function rewrap(smallPart: Uint8Array, options: RewrapOptions): Promise<Uint8Array> {
  const small = copyOf(smallPart, 'smallPart');
  const { identities, maxDerivations, recipients, verifier, signal } = parse(rewrapOptions, options);
  const openers = resolveIdentities(identities);
  const request = {
    small,
    identities: openers.identities,
    hardware: openers.hardware,
    maxDerivations,
    trust: { publishers: verifier === undefined ? [] : resolveVerifiers(verifier, 'verifier') },
  };
  return await controlled(signal, async (control) => {
    const to = await resolveRecipients(recipients);
    const machines = await machineKeys(openers.machineFiles);
    return await withKeyIds(small, { ...openers, machines }, () =>
      call((native) => native.rewrap({ ...request, machines, recipients: to, control })),
    );
  });
}
