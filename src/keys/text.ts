/** Keys as text (docs/format.md, section 11): `mgx1:`, `mgs1:` and `mgd1:` with canonical base64url. */
import { ModelGuardError, optionError } from '../errors.js';
import { call } from '../native/index.js';

const KEY_BYTES = 32;
/** `curves`: of the keys that follow one another. */
const KINDS = {
  'mgx1:': { curves: ['x25519'], what: 'an X25519 public key' },
  'mgs1:': { curves: ['ed25519'], what: 'an Ed25519 public key' },
  'mgd1:': { curves: ['x25519', 'ed25519'], what: 'the public keys of a device' },
} as const;
export type KeyPrefix = keyof typeof KINDS;

export function encodeKey(prefix: KeyPrefix, bytes: Uint8Array): string {
  return prefix + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
}

const prefixOf = (text: string): KeyPrefix | undefined =>
  (Object.keys(KINDS) as KeyPrefix[]).find((prefix) => text.startsWith(prefix));

/** Whether `text` claims to be a public key. */
export const looksLikeKey = (text: string): boolean => prefixOf(text) !== undefined;

/**
 * The prefix and the bytes of `text`. KEY_INVALID for what is no such text, or a key that is not canonical or of small order;
 * KEY_TYPE_WRONG if it is a key but none of `wanted`. `where` is the option that holds it.
 */
export function decodeKey(text: string, wanted: readonly KeyPrefix[], where?: string): { prefix: KeyPrefix; bytes: Uint8Array } {
  const refused = (code: 'KEY_INVALID' | 'KEY_TYPE_WRONG', what: string): ModelGuardError =>
    where === undefined ? new ModelGuardError(code, what) : optionError(code, where, what);
  const prefix = prefixOf(text);
  if (prefix === undefined) throw refused('KEY_INVALID', `the text is no public key, which begins with ${wanted.join(' or ')}`);
  if (!wanted.includes(prefix)) {
    const names = wanted.map((one) => `${one}… (${KINDS[one].what})`).join(' or ');
    throw refused('KEY_TYPE_WRONG', `${prefix}… is ${KINDS[prefix].what}; wanted is ${names}`);
  }
  const { curves } = KINDS[prefix];
  const size = KEY_BYTES * curves.length;
  // More than these characters are never decoded.
  const body = text.slice(prefix.length, prefix.length + 2 * size);
  const bytes = new Uint8Array(Buffer.from(body, 'base64url'));
  // Buffer skips what it does not know, so only the way back proves that the text was canonical.
  if (bytes.length !== size || encodeKey(prefix, bytes) !== text)
    throw refused('KEY_INVALID', `${prefix}… is not followed by ${size} bytes in base64url`);
  for (const [index, curve] of curves.entries())
    call((native) => native.checkPublicKey(curve, bytes.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES)));
  return { prefix, bytes };
}
