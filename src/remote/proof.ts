/** Requests that the device signs (docs/server-protocol.md, section 2). */
import { encode, PROOF_HEADER, proofMessage } from '../contract/index.js';
import type { KeyHandle } from '../native/binding.js';
import { call } from '../native/index.js';

export interface Signer {
  readonly handle: KeyHandle;
  /** 32 hex digits. */
  readonly id: string;
}

export interface SignedRequest {
  readonly signed: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

const withProof = (signed: Uint8Array, signature: Uint8Array): SignedRequest => ({
  signed,
  headers: { [PROOF_HEADER]: encode(signature) },
});

interface Challenged {
  readonly serverId: string;
  readonly challenge: string;
}

/** The bytes of `body` as they are sent, and the device's word for them. */
export function proveLease({ handle, id }: Signer, { serverId, challenge }: Challenged, body: unknown): SignedRequest {
  const bytes = Buffer.from(JSON.stringify(body));
  const message = proofMessage({ serverId, challenge, deviceId: id, body: bytes });
  return withProof(
    bytes,
    call((native) => native.sign('lease-request', handle, message)),
  );
}

/** The same for an enrolment, which shows by the sealed nonce that both private keys are there. INTEGRITY_FAILED */
export function proveEnrolment(
  { handle, id }: Signer,
  { serverId, challenge, nonce }: Challenged & { readonly nonce: Uint8Array },
  body: unknown,
): SignedRequest {
  const bytes = Buffer.from(JSON.stringify(body));
  const message = proofMessage({ serverId, challenge, deviceId: id, body: bytes });
  const server = Buffer.from(serverId, 'hex');
  const signature = call((native) => native.proveEnrolment(handle, server, Buffer.from(challenge, 'base64url'), nonce, message));
  return withProof(bytes, signature);
}
