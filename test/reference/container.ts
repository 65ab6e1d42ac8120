/** Sections 9 and 10: opening and making whole containers, and cutting them. */
import { ascii, concat, hex, must, refuse, same } from './bytes.js';
import { type Core, coreHash, keyId, writeCore } from './core.js';
import {
  type Claims,
  encodeHeader,
  type Header,
  macOf,
  parseHeader,
  payloadLength,
  ROLE,
  type Signature,
  type Slot,
  signedBytes,
} from './header.js';
import { type Files, packMessage, unpackMessage } from './manifest.js';
import { openPayload, payloadContext, payloadDigest, sealPayload } from './payload.js';
import { publicOf, random, sign, verify } from './primitives.js';
import { type Identity, matches, type Recipient, unwrap, wrap } from './slots.js';

export interface Trust {
  readonly name?: string;
  readonly version?: string;
  readonly publishers?: readonly Uint8Array[];
  readonly leaseKeys?: readonly Uint8Array[];
  readonly now?: number;
  /** The lease came from its server for this opening. */
  readonly renewed?: boolean;
}
export interface Opened {
  readonly header: Header;
  readonly dataKey: Uint8Array;
  readonly message: Uint8Array;
  readonly files: Files;
}

const signedBy = (header: Header, role: number, keys: readonly Uint8Array[]): boolean => {
  const signature = header.signatures.find((one) => one.role === role);
  if (signature === undefined) return false;
  return keys.some((key) => same(keyId(key), signature.keyId) && verify(key, signedBytes(role, header), signature.bytes));
};

function checkTrust(header: Header, trust: Trust): void {
  must(trust.name === undefined || trust.name === header.facts.name, 'another name was asked for');
  must(trust.version === undefined || trust.version === header.facts.version, 'another version was asked for');
  const publishers = trust.publishers ?? [];
  must(publishers.length === 0 || signedBy(header, ROLE.publisher, publishers), 'no pinned publisher signed it');
}

function policyAllows(header: Header, slot: Slot, trust: Trust): boolean {
  if (slot.policy === undefined) return true;
  const now = trust.now ?? Math.floor(Date.now() / 1000);
  if (!signedBy(header, ROLE.lease, trust.leaseKeys ?? [])) return false;
  const { notBefore, notAfter, offlineUntil } = slot.policy;
  const online = trust.renewed === true && now <= notBefore + 300;
  return notBefore <= now && now < notAfter && (online || now <= offlineUntil);
}

/** Steps 1 to 6: the data key. */
export function openHeader(
  bytes: Uint8Array,
  identities: readonly Identity[],
  trust: Trust = {},
): { readonly header: Header; readonly dataKey: Uint8Array } {
  const header = parseHeader(bytes);
  checkTrust(header, trust);
  const hash = coreHash(header.core);
  for (const slot of header.slots.filter((one) => policyAllows(header, one, trust))) {
    for (const identity of identities.filter((one) => matches(slot, one))) {
      const dataKey = unwrap(slot, identity, hash);
      if (dataKey === undefined) continue;
      must(same(macOf(header, dataKey), header.mac), 'the mac is wrong');
      return { header, dataKey };
    }
  }
  return refuse('no identity opens a slot');
}

export function openContainer(bytes: Uint8Array, identities: readonly Identity[], trust: Trust = {}): Opened {
  const { header, dataKey } = openHeader(bytes, identities, trust);
  must(bytes.length === header.length + header.payloadLength, 'the container is longer or shorter than it says');
  const payload = bytes.subarray(header.length);
  const message = openPayload(dataKey, payloadContext(coreHash(header.core)), payload);
  if ((trust.publishers ?? []).length > 0) must(same(payloadDigest(payload), header.digest), 'the digest is another');
  return { header, dataKey, message, files: unpackMessage(message) };
}

// --- making

export interface SealOptions {
  readonly name: string;
  readonly version: string;
  readonly format?: string;
  readonly created?: string;
  readonly recipients: readonly Recipient[];
  /** Ed25519 seed of the publisher. */
  readonly signer?: Uint8Array;
  readonly dataKey?: Uint8Array;
}

export function signature(role: number, seed: Uint8Array, claims: Claims): Signature {
  return { role, keyId: keyId(publicOf('ed25519', seed)), bytes: sign(seed, signedBytes(role, claims)) };
}

/** A container of any message, well-formed or not, as long as it has at least 16,384 bytes. */
export function sealMessage(message: Uint8Array, options: SealOptions): Uint8Array {
  const dataKey = options.dataKey ?? random(32);
  const facts: Core = {
    created: options.created ?? '2024-02-29T12:00:00Z',
    format: options.format ?? 'raw',
    name: options.name,
    payloadId: hex(random(16)),
    plaintextSize: message.length,
    version: options.version,
  };
  const core = writeCore(facts);
  const hash = coreHash(core);
  const payload = sealPayload(dataKey, payloadContext(hash), message);
  const unsigned: Claims = {
    core,
    digest: payloadDigest(payload),
    payloadLength: payloadLength(message.length),
    slots: options.recipients.map((recipient) => wrap(recipient, dataKey, hash)),
    signatures: [],
  };
  const signatures = options.signer === undefined ? [] : [signature(ROLE.publisher, options.signer, unsigned)];
  return concat(encodeHeader({ ...unsigned, signatures }, dataKey), payload);
}

export const sealContainer = (files: Files, options: SealOptions): Uint8Array => sealMessage(packMessage(files), options);

// --- section 10

export interface SplitRule {
  readonly maxBytes?: number;
  readonly ratio?: number;
}
export interface Parts {
  readonly small: Uint8Array;
  readonly big: Uint8Array;
  /** Payload offset at which the big part begins. */
  readonly offset: number;
}

export function splitContainer(container: Uint8Array, { maxBytes = 3072, ratio = 0.3 }: SplitRule = {}): Parts {
  const { length } = parseHeader(container);
  const cut = Math.max(length + 56, Math.min(maxBytes, Math.floor(ratio * container.length)));
  return { small: container.slice(0, cut), big: container.slice(cut), offset: cut - length };
}

// --- section 11

export const publicKeyText = (prefix: 'mgx1' | 'mgs1' | 'mgd1', ...keys: readonly Uint8Array[]): string =>
  `${prefix}:${Buffer.from(concat(...keys)).toString('base64url')}`;

export const keyFile = (type: 'master' | 'device' | 'signing', key: Uint8Array): Uint8Array =>
  ascii(`model-guard-key v1 ${type} plain\n${Buffer.from(key).toString('base64url')}\n`);
