/** Types and functions of keys. */
import type { NativeControl } from './work.js';

declare const brand: unique symbol;
type Handle<Name extends string> = { readonly [brand]: Name };

/** A key in locked native memory. Its bytes cannot be read from JavaScript. */
export type KeyHandle = Handle<'Key'>;

/** `legacy`: a key string of the legacy profile. */
export type NativeKeyType = 'master' | 'device' | 'signing' | 'passphrase' | 'legacy';

export interface KeyBinding {
  generateKey(type: 'master' | 'device' | 'signing'): KeyHandle;
  /** Waits for the writer of a pipe until `control` is cancelled. */
  readKeyFile(path: string, control?: NativeControl): Promise<{ key: KeyHandle; tooOpen: boolean }>;
  readPassphraseFile(path: string, control?: NativeControl): Promise<{ key: KeyHandle; tooOpen: boolean }>;
  passphraseFromEnvironment(name: string): KeyHandle;
  passphraseFromBytes(bytes: Uint8Array): KeyHandle;
  /** 0600, refuses to overwrite, whole or not at all. */
  writeKeyFile(key: KeyHandle, path: string): Promise<void>;
  keyType(key: KeyHandle): NativeKeyType;
  /** The public parts of a key: both of a device key, ed25519 of a signing key, none of other keys. */
  publicKeys(key: KeyHandle): { readonly x25519?: Uint8Array; readonly ed25519?: Uint8Array };
  /** Whether both are of one type and of equal secret bytes; compared in constant time. */
  sameKey(one: KeyHandle, other: KeyHandle): boolean;
  /** KEY_INVALID for what is not canonical or of small order (docs/format.md, section 11). */
  checkPublicKey(curve: 'x25519' | 'ed25519', publicKey: Uint8Array): void;
}
