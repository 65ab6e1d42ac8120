/** Sections 1, 6 and 7: the header, field by field, and back to the same bytes. */
import { ascii, Cursor, concat, must, same, u16, u32, u64 } from './bytes.js';
import { bound, type Core, coreHash, parseCore } from './core.js';
import { takeHelper } from './helper.js';
import { digest, hkdfExpand, hmac } from './primitives.js';

export const MAGIC = concat(Uint8Array.of(0x89), ascii('MGUARD\n'));
export const MAX_HEADER = 65_536;
export const SLOT = { x25519: 1, master: 2, passphrase: 3, hardware: 4, postQuantum: 5 } as const;
export const ROLE = { publisher: 1, lease: 2 } as const;
/** How long a slot's body is; helper data says so itself. */
const BODY = new Map<number, (body: Uint8Array) => number>([
  [SLOT.x25519, () => 32 + 48],
  [SLOT.master, () => 32 + 48],
  [SLOT.passphrase, () => 16 + 1 + 48],
  [SLOT.hardware, (body) => helperLength(body) + 48 + 32 + 48],
]);

export interface Policy {
  readonly notBefore: number;
  readonly notAfter: number;
  readonly offlineUntil: number;
  readonly leaseId: Uint8Array;
  readonly deviceId: Uint8Array;
}
export interface Slot {
  readonly type: number;
  readonly flags: number;
  readonly keyId: Uint8Array;
  readonly policy?: Policy | undefined;
  readonly body: Uint8Array;
}
export interface Signature {
  readonly role: number;
  readonly keyId: Uint8Array;
  readonly bytes: Uint8Array;
}
/** All that the mac covers. */
export interface Claims {
  readonly core: Uint8Array;
  readonly digest: Uint8Array;
  readonly payloadLength: number;
  readonly slots: readonly Slot[];
  readonly signatures: readonly Signature[];
}
export interface Header extends Claims {
  readonly facts: Core;
  readonly mac: Uint8Array;
  readonly length: number;
}

export const chunkCount = (plaintextSize: number): number => Math.floor(plaintextSize / 16384) + 1;
export const payloadLength = (plaintextSize: number): number => 56 + plaintextSize + 16 * chunkCount(plaintextSize);

// --- slots

function encodePolicy(policy: Policy | undefined): Uint8Array {
  if (policy === undefined) return new Uint8Array(0);
  return concat(u64(policy.notBefore), u64(policy.notAfter), u64(policy.offlineUntil), policy.leaseId, policy.deviceId);
}

/** Every byte of a slot before its body. */
export function slotAad(slot: Omit<Slot, 'body'>, bodyLength: number): Uint8Array {
  const policy = encodePolicy(slot.policy);
  return concat(u16(slot.type), u16(slot.flags), u32(8 + 2 + policy.length + bodyLength), slot.keyId, u16(policy.length), policy);
}

export const encodeSlot = (slot: Slot): Uint8Array => concat(slotAad(slot, slot.body.length), slot.body);
export const encodeSlots = (slots: readonly Slot[]): Uint8Array => concat(...slots.map(encodeSlot));

function parsePolicy(length: number, from: Cursor): Policy | undefined {
  must(length === 0 || length === 56, 'a policy has 0 or 56 bytes');
  if (length === 0) return undefined;
  const policy: Policy = {
    notBefore: from.u64(),
    notAfter: from.u64(),
    offlineUntil: from.u64(),
    leaseId: from.take(16),
    deviceId: from.take(16),
  };
  must(policy.notBefore < policy.notAfter, 'a policy ends before it begins');
  must(policy.offlineUntil <= policy.notAfter, 'a policy lets offline use outlive it');
  return policy;
}

function helperLength(body: Uint8Array): number {
  const from = new Cursor(body);
  takeHelper(from);
  return from.at;
}

function parseSlot(from: Cursor): Slot {
  const type = from.u16();
  const flags = from.u16();
  must(flags <= 1, 'a slot has unknown flags');
  const length = from.u32();
  must(length >= 10 && length <= 16_384, 'a slot has an impossible length');
  const rest = new Cursor(from.take(length));
  const keyId = rest.take(8);
  const policy = parsePolicy(rest.u16(), rest);
  const body = rest.take(rest.left);
  const expected = BODY.get(type)?.(body);
  if (expected === undefined) must(flags === 0, `slot type ${type} is critical and unknown`);
  else must(body.length === expected, `slot type ${type} has a body of ${body.length} bytes`);
  if (type === SLOT.master || type === SLOT.passphrase)
    must(
      keyId.every((byte) => byte === 0),
      'a slot without a public key has a key id',
    );
  if (type === SLOT.passphrase) must((body[16] ?? 0) >= 15 && (body[16] ?? 0) <= 18, 'logN is out of range');
  return { type, flags, keyId, policy, body };
}

function parseSlots(bytes: Uint8Array): readonly Slot[] {
  const from = new Cursor(bytes);
  const slots: Slot[] = [];
  while (from.left > 0) {
    must(slots.length < 32, 'more than 32 slots');
    slots.push(parseSlot(from));
  }
  must(slots.length >= 1, 'no slot');
  must(slots.filter((slot) => slot.type === SLOT.passphrase).length <= 1, 'two passphrase slots');
  return slots;
}

// --- signatures

const encodeSignatures = (signatures: readonly Signature[]): Uint8Array =>
  concat(...signatures.map(({ role, keyId, bytes }) => concat(Uint8Array.of(role), keyId, bytes)));

function parseSignatures(bytes: Uint8Array): readonly Signature[] {
  const from = new Cursor(bytes);
  const signatures: Signature[] = [];
  while (from.left > 0) signatures.push({ role: from.u8(), keyId: from.take(8), bytes: from.take(64) });
  signatures.forEach(({ role }, index) => {
    must(role === ROLE.publisher || role === ROLE.lease, `signature role ${role} is unknown`);
    must(index === 0 || role > (signatures[index - 1]?.role ?? 0), 'signatures are not in ascending order of role');
  });
  return signatures;
}

/** What a signature of this role signs. */
export function signedBytes(role: number, claims: Claims): Uint8Array {
  const hash = coreHash(claims.core);
  const facts = concat(claims.digest, u64(claims.payloadLength));
  if (role === ROLE.publisher) return concat(bound('model-guard/v1/publisher', hash), facts);
  return concat(bound('model-guard/v1/lease', hash), facts, digest('sha384', encodeSlots(claims.slots)));
}

// --- the whole

export function macKey(dataKey: Uint8Array): Uint8Array {
  return hkdfExpand('sha384', dataKey, ascii('model-guard/v1/mac'), 48);
}

/** Every header byte before the mac. */
export function beforeMac(claims: Claims): Uint8Array {
  const slots = encodeSlots(claims.slots);
  const signatures = encodeSignatures(claims.signatures);
  return concat(
    MAGIC,
    u16(1),
    u32(114 + claims.core.length + slots.length + signatures.length),
    u32(claims.core.length),
    u32(slots.length),
    u32(signatures.length),
    claims.core,
    claims.digest,
    u64(claims.payloadLength),
    slots,
    signatures,
  );
}

export function macOf(claims: Claims, dataKey: Uint8Array): Uint8Array {
  return hmac('sha384', macKey(dataKey), beforeMac(claims));
}

export function encodeHeader(claims: Claims, dataKey: Uint8Array): Uint8Array {
  return concat(beforeMac(claims), macOf(claims, dataKey));
}

/** The header at the start of a container or of a small part. */
export function parseHeader(bytes: Uint8Array): Header {
  const from = new Cursor(bytes);
  must(same(from.take(8), MAGIC), 'not a container');
  must(from.u16() === 1, 'another version');
  const length = from.u32();
  const [coreLength, slotsLength, signaturesLength] = [from.u32(), from.u32(), from.u32()];
  must(length <= MAX_HEADER, 'a header has at most 65,536 bytes');
  must(coreLength >= 1 && coreLength <= 8192, 'a core has 1 to 8,192 bytes');
  must([0, 73, 146].includes(signaturesLength), 'an impossible length of signatures');
  must(length === 114 + coreLength + slotsLength + signaturesLength, 'the header lengths do not add up');
  const core = from.take(coreLength);
  const facts = parseCore(core);
  const tree = from.take(32);
  const payload = from.u64();
  must(payload === payloadLength(facts.plaintextSize), 'the payload length is not that of the plaintext');
  const slots = parseSlots(from.take(slotsLength));
  const signatures = parseSignatures(from.take(signaturesLength));
  const mac = from.take(48);
  return { core, facts, digest: tree, payloadLength: payload, slots, signatures, mac, length };
}
