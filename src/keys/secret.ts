import { filePath, parse } from '../base/validate.js';
import type { KeyHandle } from '../native/binding.js';
import { call } from '../native/index.js';
import { type ReadKeyOptions, readKeyFileOf } from './files.js';
import { handleOf, SecretKey } from './key.js';
import { boundTo, type MachineTerms, nativePolicy, type SealedKeyOptions, sealedKeyOptions } from './machine-policy.js';
import { DevicePublicKey, VerifyingKey } from './public.js';

/** For this folder alone: constructors are private, so that no other code makes a key without a handle. */
export const make = {} as {
  master: (handle: KeyHandle) => MasterKey;
  device: (handle: KeyHandle) => DeviceKey;
  signing: (handle: KeyHandle) => SigningKey;
  passphrase: (handle: KeyHandle) => Passphrase;
};

async function save(key: SecretKey, path: string): Promise<void> {
  const handle = handleOf(key) as KeyHandle;
  const target = parse(filePath, path, 'path');
  await call((native) => native.writeKeyFile(handle, target));
}

/**
 * A symmetric key of 32 bytes that both encrypts and opens: recipient and identity in one. Its holder can also make
 * containers, so models still need a publisher's signature.
 * @example
 * const key = MasterKey.generate();
 * await key.save('master.key');
 */
export class MasterKey extends SecretKey {
  readonly type = 'master';
  private constructor(handle: KeyHandle) {
    super(handle);
  }

  static {
    make.master = (handle) => new MasterKey(handle);
  }

  /** A new random key, in native memory. */
  static generate(): MasterKey {
    return new MasterKey(call((native) => native.generateKey('master')));
  }

  /**
   * Reads a key file natively. Warns with MODEL_GUARD_KEY_PERMISSIONS if other users may read it. The writer of a pipe is waited for, until
   * `signal` aborts.
   * @throws NOT_FOUND, PERMISSION_DENIED, KEY_INVALID, KEY_TYPE_WRONG
   */
  static async fromFile(path: string, options?: ReadKeyOptions): Promise<MasterKey> {
    return new MasterKey(await readKeyFileOf('master', path, options));
  }

  /**
   * Writes a key file (mode 0600, docs/format.md section 11), whole or not at all.
   * @throws ALREADY_EXISTS, PERMISSION_DENIED, READ_ONLY, NO_SPACE
   */
  save(path: string): Promise<void> {
    return save(this, path);
  }
}

/**
 * The keys of one machine: X25519 (RFC 7748) to be encrypted to, Ed25519 (RFC 8032) to sign requests.
 * @example
 * const made = await DeviceKey.generate({ path: '/etc/model-guard/device.key' }); // once, sealed to this machine
 * console.log(`${made.publicKey}`); // mgd1:…, what a publisher needs
 * const device = await DeviceKey.fromFile('/etc/model-guard/device.key'); // ever after
 */
export class DeviceKey extends SecretKey {
  readonly type = 'device';
  /** The keys that publishers encrypt to. */
  readonly publicKey: DevicePublicKey;
  /** The machine's terms for opening the key's file, where {@link generate} just sealed it; absent for a key from a file. */
  declare readonly sealedTo?: MachineTerms;
  private constructor(handle: KeyHandle, sealedTo?: MachineTerms) {
    super(handle);
    if (sealedTo) this.sealedTo = sealedTo;
    const { x25519, ed25519 } = call((native) => native.publicKeys(handle));
    this.publicKey = new DevicePublicKey(Uint8Array.from([...(x25519 ?? []), ...(ed25519 ?? [])]));
  }

  static {
    make.device = (handle) => new DeviceKey(handle);
  }

  /** New random keys, in native memory. */
  static generate(): DeviceKey;
  /**
   * New random keys in a new file, sealed to this machine and, unless `tpm` says otherwise, to its TPM where that can be used:
   * copied to another machine, the file does not open. There is no recovery: after a change that the policy does not allow, make a
   * new key and have models released to that one. Warns with MODEL_GUARD_TPM_UNUSED where a TPM is there that could not be used.
   * @throws HARDWARE_UNREADABLE · INVALID_ARGUMENT · TPM_UNAVAILABLE, TPM_LOCKED · ALREADY_EXISTS, PERMISSION_DENIED, READ_ONLY,
   *   NO_SPACE, IO_FAILED
   * @see docs/format.md sections 11 and 12
   */
  static generate(options: SealedKeyOptions): Promise<DeviceKey>;
  static generate(options?: SealedKeyOptions): DeviceKey | Promise<DeviceKey> {
    return options === undefined
      ? new DeviceKey(call((native) => native.generateKey('device')))
      : DeviceKey.#generateSealed(options);
  }

  static async #generateSealed(options: SealedKeyOptions): Promise<DeviceKey> {
    const { path, ...policy } = parse(sealedKeyOptions, options);
    const asked = nativePolicy(policy, { tpm: 'when-usable' });
    const bound = await call((native) => native.generateSealedKey(path, asked));
    return new DeviceKey(bound.key, boundTo(bound));
  }

  /**
   * Reads a key file natively; a sealed one opens on its machine alone. Warns with MODEL_GUARD_KEY_PERMISSIONS if others may read
   * it. The writer of a pipe is waited for, until `signal` aborts.
   * @throws NOT_FOUND, PERMISSION_DENIED, KEY_INVALID, KEY_TYPE_WRONG · of a sealed one HARDWARE_MISMATCH, HARDWARE_UNREADABLE,
   *   SALTS_MISMATCH, TPM_UNAVAILABLE, TPM_LOCKED, TPM_REFUSED
   */
  static async fromFile(path: string, options?: ReadKeyOptions): Promise<DeviceKey> {
    return new DeviceKey(await readKeyFileOf('device', path, options));
  }

  /**
   * Writes a key file (mode 0600, docs/format.md section 11), whole or not at all. It is a plain
   * one, of a sealed key too: what it writes opens anywhere.
   * @throws ALREADY_EXISTS, PERMISSION_DENIED, READ_ONLY, NO_SPACE
   */
  save(path: string): Promise<void> {
    return save(this, path);
  }

  override toJSON(): { type: string; publicKey: string } {
    return { type: this.type, publicKey: this.publicKey.toString() };
  }
}

/**
 * A publisher's signing key, Ed25519 (RFC 8032).
 * @example
 * const signer = SigningKey.generate();
 * await signer.save('publisher.key');
 * console.log(`${signer.publicKey}`); // mgs1:…, what every loader pins
 */
export class SigningKey extends SecretKey {
  readonly type = 'signing';
  /** The key that loaders pin as their `verifier`. */
  readonly publicKey: VerifyingKey;
  private constructor(handle: KeyHandle) {
    super(handle);
    this.publicKey = new VerifyingKey(call((native) => native.publicKeys(handle)).ed25519 ?? new Uint8Array());
  }

  static {
    make.signing = (handle) => new SigningKey(handle);
  }

  /** A new random key, in native memory. */
  static generate(): SigningKey {
    return new SigningKey(call((native) => native.generateKey('signing')));
  }

  /**
   * Reads a key file natively. Warns with MODEL_GUARD_KEY_PERMISSIONS if other users may read it. The writer of a pipe is waited for, until
   * `signal` aborts.
   * @throws NOT_FOUND, PERMISSION_DENIED, KEY_INVALID, KEY_TYPE_WRONG
   */
  static async fromFile(path: string, options?: ReadKeyOptions): Promise<SigningKey> {
    return new SigningKey(await readKeyFileOf('signing', path, options));
  }

  /**
   * Writes a key file (mode 0600, docs/format.md section 11), whole or not at all.
   * @throws ALREADY_EXISTS, PERMISSION_DENIED, READ_ONLY, NO_SPACE
   */
  save(path: string): Promise<void> {
    return save(this, path);
  }

  override toJSON(): { type: string; publicKey: string } {
    return { type: this.type, publicKey: this.publicKey.toString() };
  }
}

/** A passphrase in native memory: recipient and identity in one. `passphrase()` makes it. */
export class Passphrase extends SecretKey {
  readonly type = 'passphrase';
  private constructor(handle: KeyHandle) {
    super(handle);
  }

  static {
    make.passphrase = (handle) => new Passphrase(handle);
  }
}
