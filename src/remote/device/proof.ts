/** Requests that the device signs (docs/server-protocol.md, section 2). */
import { decode, encode, unhex } from '../../base/bytes.js';
import { PROOF_HEADER, proofMessage } from '../../contract/index.js';
import type { KeyHandle } from '../../native/binding.js';
import { call } from '../../native/index.js';

export interface Signer {
  readonly handle: KeyHandle;
  /** 32 hex digits. */
  readonly id: string;
}

interface SignedRequest {
  readonly signed: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

interface Challenged {
  readonly serverId: string;
  readonly challenge: string;
}

/** The bytes of `body` as they are sent, and the device's word for them. */
export const proveLease = (signer: Signer, challenged: Challenged, body: unknown): SignedRequest =>
  signed(signer, challenged, body, (message) => call((native) => native.sign('lease-request', signer.handle, message)));

/** The same for an enrolment, which shows by the sealed nonce that both private keys are there. INTEGRITY_FAILED */
export function proveEnrolment(
  signer: Signer,
  challenged: Challenged & { readonly nonce: Uint8Array },
  body: unknown,
): SignedRequest {
  const { serverId, challenge, nonce } = challenged;
  return signed(signer, challenged, body, (message) =>
    call((native) => native.proveEnrolment(signer.handle, unhex(serverId), decode(challenge), nonce, message)),
  );
}

function signed(
  { id }: Signer,
  { serverId, challenge }: Challenged,
  body: unknown,
  sign: (message: Uint8Array) => Uint8Array,
): SignedRequest {
  const bytes = Buffer.from(JSON.stringify(body));
  const signature = sign(proofMessage({ serverId, challenge, deviceId: id, body: bytes }));
  return { signed: bytes, headers: { [PROOF_HEADER]: encode(signature) } };
}
