/** x25519: the public key of a device, as text or as an object, or the device key itself. */
import { handleOfType, publicBytesOf } from '../keys/key.js';
import { decodeKey } from '../keys/text.js';
import type { NativeRecipient } from '../native/binding.js';
import { call } from '../native/index.js';
import type { Kind } from './kind.js';

const X25519_BYTES = 32;

export const x25519Kind: Kind = {
  type: 'x25519',
  noun: 'device key',
  recipients: 'mgx1:… or mgd1:… text, a device key',
  identities: 'a device key',
  recipient(value, where) {
    if (typeof value === 'string') return resolved(decodeKey(value, ['mgx1:', 'mgd1:'], where).bytes);
    const known = publicBytesOf(value);
    if (known?.type === 'device-public') return resolved(known.bytes);
    const key = handleOfType(value, 'device');
    return key && resolved(call((native) => native.publicKeys(key)).x25519 as Uint8Array);
  },
  opener(value) {
    const key = handleOfType(value, 'device');
    return key && { key };
  },
};

/** `publicKeys`: X25519 first. */
const resolved = (publicKeys: Uint8Array): NativeRecipient => ({ kind: 'x25519', publicPart: publicKeys.slice(0, X25519_BYTES) });
