/** Containers that somebody who lacks a key, or has one key too many, would make. */
import { concat } from './bytes.js';
import { signature } from './container.js';
import { type Core, coreHash, writeCore } from './core.js';
import { type Claims, encodeHeader, type Header, parseHeader, payloadLength, ROLE, type Signature, type Slot } from './header.js';
import { payloadContext, payloadDigest, sealPayload } from './payload.js';
import { type Recipient, wrap } from './slots.js';

export interface Parsed {
  readonly header: Header;
  readonly payload: Uint8Array;
}

export function parts(container: Uint8Array): Parsed {
  const header = parseHeader(container);
  return { header, payload: container.slice(header.length) };
}

/** A header that says something else, with a mac that fits: for whoever knows the data key. */
export function reclaim(container: Uint8Array, dataKey: Uint8Array, change: Partial<Claims>): Uint8Array {
  const { header, payload } = parts(container);
  return concat(encodeHeader({ ...header, ...change }, dataKey), payload);
}

/** A header that says something else, with the mac it had: for whoever does not know the data key. */
export function alter(container: Uint8Array, change: Partial<Claims>): Uint8Array {
  const { header, payload } = parts(container);
  const bytes = encodeHeader({ ...header, ...change }, new Uint8Array(32));
  return concat(bytes.slice(0, bytes.length - 48), header.mac, payload);
}

/** The publisher's signature taken away, and another publisher's put in its place if a seed is given. */
export function resign(container: Uint8Array, dataKey: Uint8Array, seed?: Uint8Array): Uint8Array {
  const { header } = parts(container);
  const others = header.signatures.filter((one) => one.role !== ROLE.publisher);
  const publisher = seed === undefined ? [] : [signature(ROLE.publisher, seed, header)];
  return reclaim(container, dataKey, { signatures: [...publisher, ...others] });
}

/** The old header and keys around another message of the same length: what everyone with the data key can make. */
export function reencrypt(
  container: Uint8Array,
  dataKey: Uint8Array,
  message: Uint8Array,
  options: { readonly keepDigest?: boolean; readonly signatures?: readonly Signature[] } = {},
): Uint8Array {
  const { header, payload } = parts(container);
  const forged = sealPayload(dataKey, payloadContext(coreHash(header.core)), message, payload.slice(0, 24));
  const digest = options.keepDigest === true ? header.digest : payloadDigest(forged);
  const signatures = options.signatures ?? header.signatures;
  return concat(encodeHeader({ ...header, digest, signatures }, dataKey), forged);
}

/** Another core (name, version, size) in front of the same payload bytes. */
export function rename(container: Uint8Array, dataKey: Uint8Array, change: Partial<Core>): Uint8Array {
  const { header, payload } = parts(container);
  const facts: Core = { ...header.facts, ...change };
  const core = writeCore(facts);
  return concat(encodeHeader({ ...header, core, payloadLength: payloadLength(facts.plaintextSize) }, dataKey), payload);
}

/** A slot around the same data key for one more recipient: what every recipient can make. */
export function addSlot(container: Uint8Array, dataKey: Uint8Array, recipient: Recipient): Uint8Array {
  const { header } = parts(container);
  const slot: Slot = wrap(recipient, dataKey, coreHash(header.core));
  return reclaim(container, dataKey, { slots: [...header.slots, slot] });
}
