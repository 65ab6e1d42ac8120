/** The key that signs for a publisher. */
import type { KeyHandle } from '../native/binding.js';
import { handleOfType, wrongType } from './key.js';

/** KEY_TYPE_WRONG */
export function resolveSigner(value: unknown): KeyHandle | undefined {
  if (value === undefined) return undefined;
  const handle = handleOfType(value, 'signing');
  if (!handle) throw wrongType('signer', 'a SigningKey', value);
  return handle;
}
