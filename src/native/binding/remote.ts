/** Types and functions of the guard server and its client (docs/server-protocol.md). */
import type { KeyHandle } from './keys.js';

/** The purpose of a signature (docs/server-protocol.md, section 2). */
export type NativePurpose = 'enrolment' | 'lease-request' | 'statement' | 'checkpoint';

export interface RemoteBinding {
  /** Ed25519 over the purpose and `message`: `lease-request` by a device key, the others by a signing key. */
  sign(purpose: Exclude<NativePurpose, 'enrolment'>, key: KeyHandle, message: Uint8Array): Uint8Array;
  verifySignature(purpose: NativePurpose, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** A random nonce, and the same sealed to a device: `enc ‖ ct`. Server id: 16 bytes, challenge: 32. */
  sealNonce(
    x25519: Uint8Array,
    serverId: Uint8Array,
    challenge: Uint8Array,
  ): { readonly nonce: Uint8Array; readonly sealed: Uint8Array };
  /** Opens the nonce and signs `message ‖ nonce` for `enrolment`. INTEGRITY_FAILED if it was sealed to another key. */
  proveEnrolment(
    key: KeyHandle,
    serverId: Uint8Array,
    challenge: Uint8Array,
    sealed: Uint8Array,
    message: Uint8Array,
  ): Uint8Array;
  /** 32 bytes of a device key that was opened from a sealed file; undefined of others. */
  machineIdentity(key: KeyHandle, serverId: Uint8Array): Uint8Array | undefined;
  /** Seals the state that a device keeps of a server (docs/server-protocol.md, section 4). */
  sealState(key: KeyHandle, serverId: Uint8Array, state: Uint8Array): Uint8Array;
  /** INTEGRITY_FAILED for what this device did not seal for this server. */
  openState(key: KeyHandle, serverId: Uint8Array, sealed: Uint8Array): Uint8Array;
  /** A master key or key string, to the server that will hand it out. */
  sealFragment(fragment: KeyHandle, x25519: Uint8Array, serverId: Uint8Array, name: string): Uint8Array;
  /** From the server's key to a device's; what is between is never in JavaScript. INTEGRITY_FAILED */
  resealFragment(request: {
    readonly key: KeyHandle;
    readonly sealed: Uint8Array;
    readonly x25519: Uint8Array;
    readonly serverId: Uint8Array;
    readonly name: string;
    /** Absent: to another key of the server. */
    readonly challenge?: Uint8Array | undefined;
  }): Uint8Array;
  openFragment(key: KeyHandle, sealed: Uint8Array, serverId: Uint8Array, name: string, challenge: Uint8Array): KeyHandle;

  /** Personal data (docs/server-protocol.md, sections 6 and 7); `fieldKey` is a master key. A new K_s, wrapped; `subject`: 16 bytes. */
  newSubjectKey(fieldKey: KeyHandle, subject: Uint8Array): Uint8Array;
  sealBox(fieldKey: KeyHandle, wrapped: Uint8Array, subject: Uint8Array, aad: Uint8Array, plain: Uint8Array): Uint8Array;
  /** INTEGRITY_FAILED */
  openBox(fieldKey: KeyHandle, wrapped: Uint8Array, subject: Uint8Array, aad: Uint8Array, box: Uint8Array): Uint8Array;
  /** 32 bytes. */
  fieldMac(fieldKey: KeyHandle, use: 'index' | 'url', message: Uint8Array): Uint8Array;
}
