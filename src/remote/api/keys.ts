/** The keys of the server. */
import type { Connection } from '../connection.js';
import type { KeyRotation, ServerEncryptionKey, SigningKeyRotation } from '../records.js';
import type { CallerOptions } from '../types.js';

/** Keys that publishers encrypt to, and the one that devices pin. */
export class ServerKeys {
  readonly #connection: Connection;
  /** @internal */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Encryption keys, and what was or is being changed. */
  list(options: CallerOptions = {}): Promise<{ readonly keys: ServerEncryptionKey[]; readonly rotations: KeyRotation[] }> {
    return this.#connection.call('keys', {}, options);
  }
  /**
   * Re-wraps every small part to a new encryption key, while the server goes on. It does not undo a leak: a data key that was copied still
   * holds it, and `rekey` is what helps then.
   */
  rotate({
    acceptSeconds,
    ...options
  }: CallerOptions & { readonly acceptSeconds?: number | undefined } = {}): Promise<KeyRotation> {
    return this.#connection.call('rotateKeys', { body: { acceptSeconds } }, options);
  }
  /**
   * Replaces the signing key. The old one signs the new one: clients that pinned any earlier key follow, and new ones pin the new one.
   * It does not undo a leak either: an old key still speaks for the server to clients that pinned it or an earlier one.
   */
  rotateSigning(options: CallerOptions = {}): Promise<SigningKeyRotation> {
    return this.#connection.call('rotateSigningKey', { body: {} }, options);
  }
  /** How far it is. */
  rotation(rotation: string, options: CallerOptions = {}): Promise<KeyRotation> {
    return this.#connection.call('getRotation', { params: { rotation } }, options);
  }
}
