import type { KeyHandle } from '../native/binding.js';
import { call } from '../native/index.js';
import { filePath, parse } from '../options.js';
import { readKeyFileOf } from './files.js';
import { handleOf, SecretKey } from './key.js';
import { DevicePublicKey, VerifyingKey } from './public.js';

/** For this folder alone: constructors are private, so that nobody else makes a key without a handle. */
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
 * A symmetric key of 32 bytes that both encrypts and opens: recipient and identity in one. Whoever holds it can also make
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
   * Reads a key file natively. Warns with MODEL_GUARD_KEY_PERMISSIONS if others may read it.
   * @throws NOT_FOUND, PERMISSION_DENIED, KEY_INVALID, KEY_TYPE_WRONG
   */
  static async fromFile(path: string): Promise<MasterKey> {
    return new MasterKey(await readKeyFileOf('master', path));
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
 * const device = await DeviceKey.fromFile('/etc/model-guard/device.key');
 * console.log(`${device.publicKey}`); // mgd1:…, what a publisher needs
 */
export class DeviceKey extends SecretKey {
  readonly type = 'device';
  /** What others encrypt to. */
  readonly publicKey: DevicePublicKey;
  private constructor(handle: KeyHandle) {
    super(handle);
    const { x25519, ed25519 } = call((native) => native.publicKeys(handle));
    this.publicKey = new DevicePublicKey(Uint8Array.from([...(x25519 ?? []), ...(ed25519 ?? [])]));
  }

  static {
    make.device = (handle) => new DeviceKey(handle);
  }

  /** New random keys, in native memory. */
  static generate(): DeviceKey {
    return new DeviceKey(call((native) => native.generateKey('device')));
  }

  /**
   * Reads a key file natively. Warns with MODEL_GUARD_KEY_PERMISSIONS if others may read it.
   * @throws NOT_FOUND, PERMISSION_DENIED, KEY_INVALID, KEY_TYPE_WRONG
   */
  static async fromFile(path: string): Promise<DeviceKey> {
    return new DeviceKey(await readKeyFileOf('device', path));
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

/**
 * A publisher's signing key, Ed25519 (RFC 8032).
 * @example
 * const signer = SigningKey.generate();
 * await signer.save('publisher.key');
 * console.log(`${signer.publicKey}`); // mgs1:…, what every loader pins
 */
export class SigningKey extends SecretKey {
  readonly type = 'signing';
  /** What loaders pin as their `verifier`. */
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
   * Reads a key file natively. Warns with MODEL_GUARD_KEY_PERMISSIONS if others may read it.
   * @throws NOT_FOUND, PERMISSION_DENIED, KEY_INVALID, KEY_TYPE_WRONG
   */
  static async fromFile(path: string): Promise<SigningKey> {
    return new SigningKey(await readKeyFileOf('signing', path));
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
