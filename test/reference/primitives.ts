/** Cryptography of the reference, over node:crypto alone. */
import * as crypto from 'node:crypto';
import { ascii, concat, must, refuse, same, u16 } from './bytes.js';
import { refusedEd25519, refusedX25519 } from './points.js';

export type Hash = 'sha256' | 'sha384' | 'sha512';
export const random = (length: number): Uint8Array => Uint8Array.from(crypto.randomBytes(length));

export function digest(hash: Hash, ...parts: readonly Uint8Array[]): Uint8Array {
  const state = crypto.createHash(hash);
  for (const part of parts) state.update(part);
  return Uint8Array.from(state.digest());
}

export function hmac(hash: Hash, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const state = crypto.createHmac(hash, key);
  for (const part of parts) state.update(part);
  return Uint8Array.from(state.digest());
}

/** RFC 5869, section 2.3. */
export function hkdfExpand(hash: Hash, prk: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  let last: Uint8Array = new Uint8Array(0);
  for (let counter = 1, made = 0; made < length; counter += 1, made += last.length) {
    must(counter <= 255, 'HKDF gives no more than 255 blocks');
    last = hmac(hash, prk, last, info, Uint8Array.of(counter));
    blocks.push(last);
  }
  return concat(...blocks).slice(0, length);
}

export function hkdfExtract(hash: Hash, salt: Uint8Array, ikm: Uint8Array): Uint8Array {
  return hmac(hash, salt.length > 0 ? salt : new Uint8Array(digest(hash).length), ikm);
}

export function hkdf(hash: Hash, ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  return hkdfExpand(hash, hkdfExtract(hash, salt, ikm), info, length);
}

/** AES-256-GCM: the tag follows the ciphertext. */
export function gcmSeal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array {
  const cipher = crypto.createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(aad);
  return concat(cipher.update(plain), cipher.final(), cipher.getAuthTag());
}

/** The plaintext, or undefined if it is not authentic. */
export function gcmOpen(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < 16) return undefined;
  const decipher = crypto.createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(sealed.length - 16));
  const plain = decipher.update(sealed.subarray(0, sealed.length - 16));
  try {
    return concat(plain, decipher.final());
  } catch {
    return undefined;
  }
}

export function scrypt(passphrase: Uint8Array, salt: Uint8Array, logN: number): Uint8Array {
  const cost = 2 ** logN;
  return Uint8Array.from(crypto.scryptSync(passphrase, salt, 32, { N: cost, r: 8, p: 1, maxmem: 256 * cost * 8 + 2 ** 20 }));
}

type Curve = 'x25519' | 'ed25519';
// What stands in front of a raw 32-byte key in PKCS #8 and in SubjectPublicKeyInfo (RFC 8410); the last arc names the curve.
const arc = (curve: Curve): number => (curve === 'x25519' ? 0x6e : 0x70);
const pkcs8 = (curve: Curve): Uint8Array =>
  Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, arc(curve), 4, 0x22, 4, 0x20);
const spki = (curve: Curve): Uint8Array => Uint8Array.of(0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, arc(curve), 3, 0x21, 0);

function privateKey(curve: Curve, raw: Uint8Array): crypto.KeyObject {
  return crypto.createPrivateKey({ key: Buffer.from(concat(pkcs8(curve), raw)), format: 'der', type: 'pkcs8' });
}

function publicKey(curve: Curve, raw: Uint8Array): crypto.KeyObject {
  return crypto.createPublicKey({ key: Buffer.from(concat(spki(curve), raw)), format: 'der', type: 'spki' });
}

export function publicOf(curve: Curve, raw: Uint8Array): Uint8Array {
  const der = crypto.createPublicKey(privateKey(curve, raw)).export({ format: 'der', type: 'spki' });
  return Uint8Array.from(der.subarray(der.length - 32));
}

/** RFC 7748; refuses an all-zero result. */
export function x25519(scalar: Uint8Array, peer: Uint8Array): Uint8Array {
  let shared: Uint8Array;
  try {
    shared = Uint8Array.from(
      crypto.diffieHellman({ privateKey: privateKey('x25519', scalar), publicKey: publicKey('x25519', peer) }),
    );
  } catch {
    return refuse('no X25519 shared secret');
  }
  must(!same(shared, new Uint8Array(32)), 'an all-zero X25519 shared secret');
  return shared;
}

export function sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return Uint8Array.from(crypto.sign(null, message, privateKey('ed25519', seed)));
}

export function verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return !refusedEd25519(key) && crypto.verify(null, message, publicKey('ed25519', key), signature);
}

// --- HPKE, RFC 9180: base mode, single shot, KEM 0x0020, KDF 0x0001, AEAD 0x0002

const kemSuite = concat(ascii('KEM'), u16(0x0020));
const hpkeSuite = concat(ascii('HPKE'), u16(0x0020), u16(0x0001), u16(0x0002));
const none = new Uint8Array(0);

function labeledExtract(suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array {
  return hkdfExtract('sha256', salt, concat(ascii('HPKE-v1'), suite, ascii(label), ikm));
}

function labeledExpand(suite: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, length: number): Uint8Array {
  return hkdfExpand('sha256', prk, concat(u16(length), ascii('HPKE-v1'), suite, ascii(label), info), length);
}

/** RFC 9180, section 7.1.3. */
export function deriveKeyPair(ikm: Uint8Array): { readonly privateKey: Uint8Array; readonly publicKey: Uint8Array } {
  const scalar = labeledExpand(kemSuite, labeledExtract(kemSuite, none, 'dkp_prk', ikm), 'sk', none, 32);
  return { privateKey: scalar, publicKey: publicOf('x25519', scalar) };
}

export interface HpkeSecrets {
  /** The raw Diffie-Hellman result. */
  readonly dh: Uint8Array;
  readonly extracted: Uint8Array;
  readonly sharedSecret: Uint8Array;
  readonly secret: Uint8Array;
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
}

function schedule(dh: Uint8Array, enc: Uint8Array, recipient: Uint8Array, info: Uint8Array): HpkeSecrets {
  const prk = labeledExtract(kemSuite, none, 'eae_prk', dh);
  const sharedSecret = labeledExpand(kemSuite, prk, 'shared_secret', concat(enc, recipient), 32);
  const context = concat(
    Uint8Array.of(0),
    labeledExtract(hpkeSuite, none, 'psk_id_hash', none),
    labeledExtract(hpkeSuite, none, 'info_hash', info),
  );
  const secret = labeledExtract(hpkeSuite, sharedSecret, 'secret', none);
  return {
    dh,
    extracted: prk,
    sharedSecret,
    secret,
    key: labeledExpand(hpkeSuite, secret, 'key', context, 32),
    nonce: labeledExpand(hpkeSuite, secret, 'base_nonce', context, 12),
  };
}

/** Every secret that whoever holds the private key derives from `enc`. */
export function hpkeSecrets(enc: Uint8Array, recipientPrivate: Uint8Array, info: Uint8Array): HpkeSecrets {
  return schedule(x25519(recipientPrivate, enc), enc, publicOf('x25519', recipientPrivate), info);
}

export function hpkeSeal(
  recipient: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
  plain: Uint8Array,
  ephemeral: Uint8Array = random(32),
): { readonly enc: Uint8Array; readonly sealed: Uint8Array } {
  must(!refusedX25519(recipient), 'no X25519 key that anybody is encrypted to');
  const enc = publicOf('x25519', ephemeral);
  const { key, nonce } = schedule(x25519(ephemeral, recipient), enc, recipient, info);
  return { enc, sealed: gcmSeal(key, nonce, aad, plain) };
}

export function hpkeOpen(
  enc: Uint8Array,
  recipientPrivate: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const { key, nonce } = hpkeSecrets(enc, recipientPrivate, info);
  return gcmOpen(key, nonce, aad, sealed);
}
