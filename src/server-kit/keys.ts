/** The keys of a guard server at work: everything that touches them, natively (docs/server-protocol.md). */
import { decode, encode, unhex } from '../base/bytes.js';
import {
  type Checkpoint,
  checkpointMessage,
  proofMessage,
  type Statement,
  type StatementBody,
  type StatementKind,
  signStatement,
} from '../contract/index.js';
import { handleOf } from '../keys/key.js';
import type { DeviceKey, MasterKey, SigningKey } from '../keys/secret.js';
import { decodeKey } from '../keys/text.js';
import type { KeyHandle, NativeRecipient } from '../native/binding.js';
import { call } from '../native/index.js';
import type { ModelRef } from '../stores/store.js';

const X25519_BYTES = 32;
const x25519Of = (text: string): Uint8Array => decodeKey(text, ['mgx1:', 'mgd1:']).bytes.slice(0, X25519_BYTES);
const x25519Recipient = (key: string): NativeRecipient => ({ kind: 'x25519', publicPart: x25519Of(key) });
const ed25519Of = (device: string): Uint8Array => decodeKey(device, ['mgd1:']).bytes.slice(X25519_BYTES);
const handle = (key: DeviceKey | MasterKey | SigningKey): KeyHandle => handleOf(key) as KeyHandle;

/** `mgx1:…` of a key that publishers encrypt to. */
export const encryptionKeyOf = (key: DeviceKey): string =>
  `mgx1:${encode(call((native) => native.publicKeys(handle(key))).x25519 as Uint8Array)}`;

/** The policy of a lease; times in seconds since 1970, ids in hex. */
export interface LeasePolicy {
  readonly notBefore: number;
  readonly notAfter: number;
  readonly offlineUntil: number;
  readonly leaseId: string;
  readonly deviceId: string;
}

interface Small {
  readonly small: Uint8Array;
  readonly ref: ModelRef;
  /** `mgs1:…`; never empty. */
  readonly publishers: readonly string[];
  /** The server's keys that may open it. */
  readonly keys: readonly DeviceKey[];
}

const opening = ({ small, ref, publishers, keys }: Small) => {
  if (publishers.length === 0) throw new TypeError('an empty list of publishers would accept any origin');
  return {
    small,
    identities: keys.map(handle),
    trust: { ...ref, publishers: publishers.map((key) => decodeKey(key, ['mgs1:']).bytes) },
  };
};

/** A small part for one device, with a policy, signed by the server. What `rewrap` throws. */
export const issueLease = (
  part: Small & { readonly device: string; readonly policy: LeasePolicy; readonly signing: SigningKey },
): Promise<Uint8Array> =>
  call((native) =>
    native.rewrap({
      ...opening(part),
      recipients: [x25519Recipient(part.device)],
      lease: { policy: part.policy, signer: handle(part.signing) },
    }),
  );

/** A small part for one key of the server alone, its origin checked. What `rewrap` throws. */
export const rewrapForServer = (part: Small & { readonly to: DeviceKey }): Promise<Uint8Array> =>
  call((native) => native.rewrap({ ...opening(part), recipients: [x25519Recipient(encryptionKeyOf(part.to))] }));

/** The public facts of a small part. NOT_A_CONTAINER, CONTAINER_MALFORMED, … */
export function describePart(small: Uint8Array) {
  const { name, version, format, payloadId, digest } = call((native) => native.inspect(small));
  const { bigOffset, bigSize } = call((native) => native.describeSmall(small));
  return { name, version, format, payloadId, digest, bigName: `${payloadId}-${bigOffset}`, bigSize };
}

/** The one of `publishers` that signed it; undefined if none did. */
export function publisherOf({ small, ref, publishers }: Omit<Small, 'keys'>): string | undefined {
  return publishers.find((key) => {
    try {
      const trust = { ...ref, publishers: [decodeKey(key, ['mgs1:']).bytes] };
      call((native) => native.checkOrigin(small, trust));
      return true;
    } catch {
      return false;
    }
  });
}

/** Signs a statement with the server's signing key. */
export const signAs = <Kind extends StatementKind>(signing: SigningKey, said: StatementBody<Kind>): Statement =>
  signStatement(handle(signing), signing.publicKey.toString(), said);

/** Signs a position of the audit log. */
export function signCheckpoint(audit: SigningKey, position: Omit<Checkpoint, 'signature'>): Checkpoint {
  const message = checkpointMessage(position);
  return { ...position, signature: encode(call((native) => native.sign('checkpoint', handle(audit), message))) };
}

/** Bytes and base64url of a challenge's sealed nonce. */
export function nonceFor(device: string, serverId: string, challenge: string): { nonce: Uint8Array; sealed: string } {
  const { nonce, sealed } = call((native) => native.sealNonce(x25519Of(device), unhex(serverId), decode(challenge)));
  return { nonce, sealed: encode(sealed) };
}

interface Proof {
  readonly serverId: string;
  readonly challenge: string;
  readonly deviceId: string;
  /** `mgd1:…` */
  readonly device: string;
  /** As received. */
  readonly body: Uint8Array;
  /** base64url */
  readonly signature: string;
}
const verifies = (purpose: 'enrolment' | 'lease-request', { device, signature }: Proof, message: Uint8Array): boolean =>
  call((native) => native.verifySignature(purpose, ed25519Of(device), message, decode(signature)));

/** Whether the device signed this request for a lease. */
export const leaseProofHolds = (proof: Proof): boolean => verifies('lease-request', proof, proofMessage(proof));
/** Whether the device signed this enrolment, and could open the nonce. */
export const enrolmentProofHolds = (proof: Proof & { readonly nonce: Uint8Array }): boolean =>
  verifies('enrolment', proof, Buffer.concat([proofMessage(proof), proof.nonce]));

/** A fragment of an archive, from the server's key to a device (with the challenge) or to another key of the server. INTEGRITY_FAILED */
export const resealFragment = ({
  key,
  sealed,
  to,
  serverId,
  name,
  challenge,
}: {
  readonly key: DeviceKey;
  readonly sealed: Uint8Array;
  /** `mgd1:…` or `mgx1:…` */
  readonly to: string;
  readonly serverId: string;
  readonly name: string;
  readonly challenge?: string | undefined;
}): Uint8Array =>
  call((native) =>
    native.resealFragment({
      key: handle(key),
      sealed,
      x25519: x25519Of(to),
      serverId: unhex(serverId),
      name,
      challenge: challenge === undefined ? undefined : decode(challenge),
    }),
  );

/** Personal data under a key per subject (docs/server-protocol.md, section 6). Subjects are 32 hex digits. */
export class FieldCipher {
  readonly #key: KeyHandle;
  constructor(field: MasterKey) {
    this.#key = handle(field);
  }

  /** A new subject's key, wrapped. */
  newKey(subject: string): Uint8Array {
    return call((native) => native.newSubjectKey(this.#key, unhex(subject)));
  }
  seal(wrapped: Uint8Array, subject: string, aad: Uint8Array, value: unknown): Uint8Array {
    const plain = Buffer.from(JSON.stringify(value));
    return call((native) => native.sealBox(this.#key, wrapped, unhex(subject), aad, plain));
  }
  /** INTEGRITY_FAILED */
  open(wrapped: Uint8Array, subject: string, aad: Uint8Array, box: Uint8Array): unknown {
    const plain = call((native) => native.openBox(this.#key, wrapped, unhex(subject), aad, box));
    return JSON.parse(Buffer.from(plain).toString('utf8'));
  }
  /** The index by which an e-mail address is looked up. */
  emailIndex(email: string): Uint8Array {
    const message = Buffer.from(`email\0${email.normalize('NFC').toLowerCase()}`);
    return call((native) => native.fieldMac(this.#key, 'index', message));
  }
  /** Signs `path ‖ 0x00 ‖ expires`. */
  urlMac(path: string, expires: number): Uint8Array {
    return call((native) => native.fieldMac(this.#key, 'url', Buffer.from(`${path}\0${expires}`)));
  }
}
