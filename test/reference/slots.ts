/** Section 6: wrapping the data key for a recipient, and getting it back. */
import { Cursor, concat, Refused, same } from './bytes.js';
import { bound, keyId } from './core.js';
import { type Policy, SLOT, type Slot, slotAad } from './header.js';
import { encodeBinding, type MachineFile, type MachineIdentity, open, takeBinding } from './machines.js';
import { deriveKeyPair, gcmOpen, gcmSeal, hkdf, hpkeOpen, hpkeSeal, publicOf, random, scrypt } from './primitives.js';

export type Recipient =
  | { readonly x25519: Uint8Array }
  | { readonly master: Uint8Array }
  | { readonly passphrase: Uint8Array; readonly logN?: number }
  | { readonly machine: MachineFile };
export type Identity =
  | { readonly x25519: Uint8Array }
  | { readonly master: Uint8Array }
  | { readonly passphrase: Uint8Array }
  | { readonly machine: MachineIdentity };

export const slotInfo = (type: keyof typeof SLOT, hash: Uint8Array): Uint8Array => bound(`model-guard/v1/slot/${type}`, hash);

const zeros = (length: number): Uint8Array => new Uint8Array(length);

/** The key that wraps the data key in a `master` or `passphrase` slot. */
export function wrappingKey(type: 'master' | 'passphrase', ikm: Uint8Array, salt: Uint8Array, hash: Uint8Array): Uint8Array {
  return hkdf('sha384', ikm, salt, slotInfo(type, hash), 32);
}

export interface WrapOptions {
  readonly policy?: Policy | undefined;
  readonly flags?: number;
}

export function wrap(recipient: Recipient, dataKey: Uint8Array, hash: Uint8Array, options: WrapOptions = {}): Slot {
  const { policy, flags = 0 } = options;
  if ('x25519' in recipient) {
    const head = { type: SLOT.x25519, flags, policy, keyId: keyId(recipient.x25519) };
    const { enc, sealed } = hpkeSeal(recipient.x25519, slotInfo('x25519', hash), slotAad(head, 80), dataKey);
    return { ...head, body: concat(enc, sealed) };
  }
  if ('master' in recipient) {
    const head = { type: SLOT.master, flags, policy, keyId: zeros(8) };
    const salt = random(32);
    const key = wrappingKey('master', recipient.master, salt, hash);
    return { ...head, body: concat(salt, gcmSeal(key, zeros(12), slotAad(head, 80), dataKey)) };
  }
  if ('machine' in recipient) {
    const { machine } = recipient;
    const head = { type: SLOT.hardware, flags, policy, keyId: keyId(machine.publicKey) };
    const before = encodeBinding(machine);
    const { enc, sealed } = hpkeSeal(machine.publicKey, slotInfo('hardware', hash), slotAad(head, before.length + 80), dataKey);
    return { ...head, body: concat(before, enc, sealed) };
  }
  const head = { type: SLOT.passphrase, flags, policy, keyId: zeros(8) };
  const salt = random(16);
  const logN = recipient.logN ?? 17;
  const key = wrappingKey('passphrase', scrypt(recipient.passphrase, salt, logN), salt, hash);
  return { ...head, body: concat(salt, Uint8Array.of(logN), gcmSeal(key, zeros(12), slotAad(head, 65), dataKey)) };
}

export function matches(slot: Slot, identity: Identity): boolean {
  if ('x25519' in identity) {
    return slot.type === SLOT.x25519 && same(slot.keyId, keyId(publicOf('x25519', identity.x25519)));
  }
  if ('machine' in identity) return slot.type === SLOT.hardware;
  return slot.type === ('master' in identity ? SLOT.master : SLOT.passphrase);
}

/** HPKE's part of a slot's body. Undefined too for an all-zero shared secret: this slot does not open. */
function openHpke(scalar: Uint8Array, from: Cursor, info: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
  const [enc, sealed] = [from.take(32), from.take(48)];
  try {
    return hpkeOpen(enc, scalar, info, aad, sealed);
  } catch (error) {
    if (error instanceof Refused) return undefined;
    throw error;
  }
}

function unwrapMachine(slot: Slot, identity: MachineIdentity, hash: Uint8Array, aad: Uint8Array): Uint8Array | undefined {
  const body = new Cursor(slot.body);
  const secret = open(takeBinding(body), identity);
  if (secret === undefined) return undefined;
  const pair = deriveKeyPair(secret);
  if (!same(slot.keyId, keyId(pair.publicKey))) return undefined;
  return openHpke(pair.privateKey, body, slotInfo('hardware', hash), aad);
}

/** The data key, or undefined. */
export function unwrap(slot: Slot, identity: Identity, hash: Uint8Array): Uint8Array | undefined {
  const aad = slotAad(slot, slot.body.length);
  if ('x25519' in identity) {
    return openHpke(identity.x25519, new Cursor(slot.body), slotInfo('x25519', hash), aad);
  }
  if ('machine' in identity) return unwrapMachine(slot, identity.machine, hash, aad);
  if ('master' in identity) {
    const key = wrappingKey('master', identity.master, slot.body.slice(0, 32), hash);
    return gcmOpen(key, zeros(12), aad, slot.body.slice(32));
  }
  const salt = slot.body.slice(0, 16);
  const key = wrappingKey('passphrase', scrypt(identity.passphrase, salt, slot.body[16] ?? 0), salt, hash);
  return gcmOpen(key, zeros(12), aad, slot.body.slice(17));
}
