import { PublicKey, publicBytesOf, wrongType } from './key.js';
import { decodeKey, encodeKey } from './text.js';

/**
 * A publisher's public key, Ed25519 (RFC 8032). Pinning it is what says where a model comes from.
 * @example
 * const verifier = new VerifyingKey('mgs1:…');
 */
export class VerifyingKey extends PublicKey {
  readonly type = 'verifying';
  readonly #text: string;

  /**
   * @param key `mgs1:` text (docs/format.md section 11), or its 32 bytes.
   * @throws KEY_INVALID if it is malformed, KEY_TYPE_WRONG if it is another kind of public key.
   */
  constructor(key: string | Uint8Array) {
    const bytes = typeof key === 'string' ? decodeKey(key, ['mgs1:']).bytes : key;
    const text = encodeKey('mgs1:', bytes);
    super(decodeKey(text, ['mgs1:']).bytes);
    this.#text = text;
  }

  /** `mgs1:…` */
  override toString(): string {
    return this.#text;
  }
}

/**
 * The public keys of a device: X25519 to encrypt to it, Ed25519 to check what it signed.
 * @example
 * const recipient = new DevicePublicKey('mgd1:…');
 */
export class DevicePublicKey extends PublicKey {
  readonly type = 'device-public';
  readonly #text: string;

  /**
   * @param key `mgd1:` text (docs/format.md section 11), or its 64 bytes, X25519 first.
   * @throws KEY_INVALID if it is malformed, KEY_TYPE_WRONG if it is another kind of public key.
   */
  constructor(key: string | Uint8Array) {
    const bytes = typeof key === 'string' ? decodeKey(key, ['mgd1:']).bytes : key;
    const text = encodeKey('mgd1:', bytes);
    super(decodeKey(text, ['mgd1:']).bytes);
    this.#text = text;
  }

  /** `mgd1:…` */
  override toString(): string {
    return this.#text;
  }
}

/** The Ed25519 public key in `value`: a VerifyingKey or its text. */
export function verifyingBytes(value: unknown, where: string): Uint8Array {
  if (typeof value === 'string') return decodeKey(value, ['mgs1:'], where).bytes;
  const known = publicBytesOf(value);
  if (known?.type === 'verifying') return known.bytes;
  throw wrongType(where, "a publisher's public key (mgs1:… or a VerifyingKey)", value);
}
