/** Checks a payload against its small part, without a key. */
import { hasCode, ModelGuardError } from '../errors.js';
import type { NativeSource } from '../native/binding.js';
import { call } from '../native/index.js';
import { type RunOptions, work } from '../native/work.js';

/** The `.tree` of two parts; PARTS_MISMATCH unless they belong together. */
export function checkParts(small: Uint8Array, big: NativeSource, run: RunOptions): Promise<Uint8Array> {
  const { plaintextSize } = call((native) => native.inspect(small));
  return work('verify', plaintextSize, run, (running, native) => native.checkParts(small, big, running));
}

/** The same for a whole container, where damage cannot be a mix-up of parts. */
export async function checkPayload(head: Uint8Array, rest: NativeSource, run: RunOptions): Promise<Uint8Array> {
  try {
    return await checkParts(head, rest, run);
  } catch (error) {
    if (hasCode(error, 'PARTS_MISMATCH'))
      throw new ModelGuardError('DIGEST_MISMATCH', 'The payload is not the one that the header states', { cause: error });
    throw error;
  }
}
