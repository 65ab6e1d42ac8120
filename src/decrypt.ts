import { abortable } from './abort.js';
import { wholeContainer } from './container.js';
import { GuardedModel } from './model.js';
import { loadPayload, metadataOf, openSmall, resolveOpening } from './open.js';
import { copyOf, decryptOptions, filePath, parse } from './options.js';
import type { DecryptOptions } from './types.js';

/**
 * Decrypts a container in memory. Large models go by path: `decryptFile`, `load`.
 * @param container Copied before the call returns. Not in a SharedArrayBuffer, not resizable.
 * @throws What `load` throws; REFERENCE_MISMATCH if `ref` was given and the container says otherwise.
 * @see docs/format.md section 9, the order of opening
 * @example
 * using model = await decrypt(container, { identities: [key], verifier: 'mgs1:…' });
 */
export async function decrypt(container: Uint8Array, options: DecryptOptions): Promise<GuardedModel> {
  return await open(copyOf(container, 'container'), options);
}

/**
 * Decrypts a container file into guarded memory. Only the path to the file is kept while the engine reads it.
 * @param container Path of the container.
 * @throws What `load` throws; REFERENCE_MISMATCH if `ref` was given and the container says otherwise.
 * @see docs/format.md section 9, the order of opening
 * @example
 * using model = await decryptFile('defects.mguard', { identities: [key], verifier: 'mgs1:…' });
 */
export async function decryptFile(container: string, options: DecryptOptions): Promise<GuardedModel> {
  return await open(parse(filePath, container, 'container'), options);
}

async function open(container: Uint8Array | string, options: DecryptOptions): Promise<GuardedModel> {
  const { identities, maxDerivations, verifier, unsigned, leaseKeys, ref = {}, ...run } = parse(decryptOptions, options);
  const opening = resolveOpening({ identities, maxDerivations, verifier, unsigned, leaseKeys }, ref);
  return await abortable(run.signal, async () => {
    const { head, rest } = await wholeContainer(container);
    const opened = await openSmall(head, opening, run);
    const model = await loadPayload(opened, { ...rest, sameContainer: true }, run);
    return new GuardedModel(model, metadataOf(opened.info, opening));
  });
}
