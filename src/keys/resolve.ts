/** What a caller gave as recipients, identities, signer or verifier → what the addon takes. */
import { ModelGuardError } from '../errors.js';
import type { KeyHandle, NativeRecipient } from '../native/binding.js';
import { call } from '../native/index.js';
import { handleOf, publicBytesOf, wrongType } from './key.js';
import { verifyingBytes } from './public.js';
import { decodeKey } from './text.js';

const X25519_BYTES = 32;

/** INVALID_ARGUMENT for one given twice or a second passphrase; KEY_TYPE_WRONG, KEY_INVALID. */
export function resolveRecipients(values: readonly unknown[]): NativeRecipient[] {
  const seen = new Set<unknown>();
  let passphrases = 0;
  return values.map((value, index) => {
    const where = `recipients[${index}]`;
    const recipient = resolveRecipient(value, where);
    const { key } = recipient;
    if (key && call((native) => native.keyType(key)) === 'passphrase' && ++passphrases > 1)
      throw new ModelGuardError('INVALID_ARGUMENT', `${where} is a second passphrase; a container has at most one`);
    const identity = key ?? Buffer.from(recipient.x25519 as Uint8Array).toString('hex');
    if (seen.has(identity)) throw new ModelGuardError('INVALID_ARGUMENT', `${where} was already given`);
    seen.add(identity);
    return recipient;
  });
}

function resolveRecipient(value: unknown, where: string): NativeRecipient {
  if (typeof value === 'string') return { x25519: decodeKey(value, ['mgx1:', 'mgd1:']).bytes.slice(0, X25519_BYTES) };
  const known = publicBytesOf(value);
  if (known?.type === 'device-public') return { x25519: known.bytes.slice(0, X25519_BYTES) };
  const handle = handleOf(value);
  const type = handle && call((native) => native.keyType(handle));
  if (type === 'master' || type === 'passphrase') return { key: handle };
  if (type === 'device') return { x25519: call((native) => native.publicKeys(handle as KeyHandle)).x25519 };
  throw wrongType(where, 'mgx1:… or mgd1:… text, a master key, device key or passphrase', value);
}

export function resolveIdentities(values: readonly unknown[]): KeyHandle[] {
  return values.map((value, index) => {
    const handle = handleOf(value);
    if (handle && call((native) => native.keyType(handle)) !== 'signing') return handle;
    throw wrongType(`identities[${index}]`, 'a master key, device key or passphrase', value);
  });
}

export function resolveSigner(value: unknown): KeyHandle | undefined {
  if (value === undefined) return undefined;
  const handle = handleOf(value);
  if (handle && call((native) => native.keyType(handle)) === 'signing') return handle;
  throw wrongType('signer', 'a SigningKey', value);
}

/** Never empty: natively an empty list means that the origin is not checked. */
export function resolveVerifiers(value: unknown, where: string): Uint8Array[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (values.length === 0) throw new ModelGuardError('INVALID_ARGUMENT', `${where} is an empty list`);
  return values.map((one, index) => verifyingBytes(one, Array.isArray(value) ? `${where}[${index}]` : where));
}
