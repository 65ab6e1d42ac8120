import { withKeyIds } from './keys/ids.js';
import { machineKeys, resolveIdentities, resolveRecipients, resolveVerifiers } from './keys/resolve.js';
import { call } from './native/index.js';
import { controlled } from './native/work.js';
import { copyOf, parse, rewrapOptions } from './options.js';
import type { RewrapOptions } from './types.js';

/**
 * A small part for other recipients. Core, digest, publisher's signature and the big part stay as they are, whatever the model's
 * size. It stops *new* openings only: whoever held the data key can keep it; after a leak, use `rekey`.
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
    trust: {
      publishers: verifier === undefined ? [] : resolveVerifiers(verifier, 'verifier'),
      leaseKeys: [],
    },
  };
  return await controlled(signal, async (control) => {
    const to = await resolveRecipients(recipients);
    const machines = await machineKeys(openers.machineFiles);
    return await withKeyIds(small, { ...openers, machines }, () =>
      call((native) => native.rewrap({ ...request, machines, recipients: to, control })),
    );
  });
}
