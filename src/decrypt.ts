import { z } from 'zod';
import { abortable } from './base/abort.js';
import { copyOf, filePath, parse } from './base/validate.js';
import { Deriver } from './engine/derived.js';
import { GuardedModel } from './engine/model.js';
import { metadataOf, openContainer, resolveOpening } from './engine/open.js';
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
import { type RunOptions, run } from './native/work.js';
import type { Identity } from './recipients/kinds.js';
import { type Reference, reference } from './stores/options.js';

export const decryptOptions = z
  .strictObject({ ...run, ...originShape, identities, maxDerivations, as: form, ref: reference.optional() })
  .refine(oneOrigin, ONE_ORIGIN);

/** Options of `decrypt` and `decryptFile`. */
export interface DecryptOptions extends OriginOptions, DerivationOptions, FormOptions, RunOptions {
  /** 1 to 32. */
  readonly identities: readonly Identity[];
  /** Refuses with REFERENCE_MISMATCH what says otherwise; without a version only the name is compared. */
  readonly ref?: Reference | undefined;
}

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
    const { model, opened } = await openContainer(container, opening, run);
    return new GuardedModel(model, metadataOf(opened.info, opening), new Deriver(opened));
  });
}
