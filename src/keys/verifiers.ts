/** Public keys of publishers that callers trust. */
import { opaque } from '../base/validate.js';
import { optionError } from '../errors.js';
import { type VerifyingKey, verifyingBytes } from './public.js';

export const verifier = opaque<Verifier>();

/** Publishers' public keys, `mgs1:…` text or objects; a signature by one of them is enough. */
export type Verifier = string | VerifyingKey | readonly (string | VerifyingKey)[];

/** The bytes of each key. Never empty: natively an empty list means that the origin is not checked. */
export function resolveVerifiers(value: unknown, where: string): Uint8Array[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (values.length === 0) throw optionError('INVALID_ARGUMENT', where, 'is an empty list');
  return values.map((one, index) => verifyingBytes(one, Array.isArray(value) ? `${where}[${index}]` : where));
}
