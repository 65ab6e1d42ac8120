/** The base of all keys: a native handle, out of sight, and an interface that shows nothing secret. */
import { type ModelGuardError, optionError } from '../errors.js';
import type { KeyHandle, NativeKeyType } from '../native/binding.js';
import { call } from '../native/index.js';

// Registered symbols, so that the ESM and the CommonJS copy of this package accept each other's keys.
const HANDLE = Symbol.for('@org/model-guard/key');
const PUBLIC = Symbol.for('@org/model-guard/public-key');
const INSPECT = Symbol.for('nodejs.util.inspect.custom');

export type PublicKeyType = 'verifying' | 'device-public';

/** A key whose secret part lives in locked native memory. It cannot be read, printed or serialised from JavaScript. */
export abstract class SecretKey {
  /** The kind of key. */
  abstract readonly type: 'master' | 'device' | 'signing' | 'passphrase' | 'legacy';

  /** @internal */
  constructor(handle: KeyHandle) {
    Object.defineProperty(this, HANDLE, { value: handle });
  }

  /** The type and, where there is one, the public part. */
  toJSON(): { type: string; publicKey?: string } {
    return { type: this.type };
  }

  /** @internal */
  [INSPECT](): string {
    const { publicKey } = this.toJSON();
    return `${this.constructor.name} { ${publicKey ?? 'secret'} }`;
  }
}

/** A public key; as text it is what `toString()` returns. */
export abstract class PublicKey {
  /** The kind of key. */
  abstract readonly type: PublicKeyType;

  /** @internal */
  constructor(bytes: Uint8Array) {
    Object.defineProperty(this, PUBLIC, { value: Uint8Array.from(bytes) });
  }

  /** The key as text, as docs/format.md section 11 writes it. */
  abstract toString(): string;

  /** The same as {@link toString}. */
  toJSON(): string {
    return this.toString();
  }

  /** @internal */
  [INSPECT](): string {
    return `${this.constructor.name} { ${this.toString()} }`;
  }
}

/** The native handle of a secret key of either copy of this package. */
export function handleOf(value: unknown): KeyHandle | undefined {
  return hidden(value, HANDLE) as KeyHandle | undefined;
}

/** The same, where the key is of that type. */
export function handleOfType(value: unknown, type: NativeKeyType): KeyHandle | undefined {
  const handle = handleOf(value);
  return handle && call((native) => native.keyType(handle)) === type ? handle : undefined;
}

export function publicBytesOf(value: unknown): { type: PublicKeyType; bytes: Uint8Array } | undefined {
  const bytes = hidden(value, PUBLIC) as Uint8Array | undefined;
  return bytes && { type: (value as PublicKey).type, bytes };
}

function hidden(value: unknown, key: symbol): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<symbol, unknown>)[key] : undefined;
}

/** Names the type of a key in a message. */
export const describeHandle = (handle: KeyHandle): string =>
  `a ${call((native) => native.keyType(handle))} key`.replace('passphrase key', 'passphrase');

/** Names a value in a message: its type, never its content. */
function describeKey(value: unknown): string {
  const handle = handleOf(value);
  if (handle) return describeHandle(handle);
  const known = publicBytesOf(value);
  if (known) return known.type === 'verifying' ? 'a public signing key' : 'the public keys of a device';
  return typeof value === 'string' ? 'text' : value === null ? 'null' : `a value of type ${typeof value}`;
}

export function wrongType(where: string, wanted: string, value: unknown): ModelGuardError {
  return optionError('KEY_TYPE_WRONG', where, `wants ${wanted}, not ${describeKey(value)}`);
}
