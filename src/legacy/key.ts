/** Key strings of the legacy profile. They are read, derived and kept natively (docs/legacy.md). */
import { z } from 'zod';
import { opaque, parse } from '../base/validate.js';
import { WRONG_FILE } from '../files/files.js';
import { warnIfOpen } from '../keys/files.js';
import { handleOf, SecretKey, wrongType } from '../keys/key.js';
import type { KeyHandle, NativeBinding, NativeSecretText } from '../native/binding.js';
import { call } from '../native/index.js';
import {
  type DerivationOptions,
  derivation,
  derivationOptions,
  type HardwareHashOptions,
  hardwareHashOptions,
} from './derivation.js';
import { type LegacyText, legacyText } from './text.js';

/** Only files can be too large here: of secret texts, or of salts. */
const TOO_LARGE = { LIMIT_EXCEEDED: WRONG_FILE } as const;

/** Options of `LegacyKey.forDownload`. */
export interface DownloadKeyOptions extends DerivationOptions {
  readonly email: LegacyText;
  readonly password: LegacyText;
  /** From `LegacyKey.hardwareHash`, or, where the hash is known as text, from `LegacyKey.fromKeyString`. */
  readonly hardwareHash: LegacyKey;
}

export const downloadKeyOptions = z.strictObject({
  ...derivation,
  email: legacyText,
  password: legacyText,
  hardwareHash: opaque<LegacyKey>(),
});

/**
 * A key string of the legacy profile: the AES key of an artifact is SHA-256 of it. It encrypts and opens legacy artifacts and nothing
 * else: as recipient or identity of a container it is refused.
 * @see docs/legacy.md
 * @example
 * const key = await LegacyKey.forResource({ salts: '/etc/model-guard/salts' });
 * using model = await decryptFile('defects.enc', { key });
 */
export class LegacyKey extends SecretKey {
  readonly type = 'legacy';
  private constructor(handle: KeyHandle) {
    super(handle);
  }

  /**
   * A key string as it is, from whatever scheme derived it: 1 to 4,096 bytes. Warns with MODEL_GUARD_KEY_PERMISSIONS if others may
   * read its file.
   * @throws KEY_INVALID, NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT; LIMIT_EXCEEDED for a file above 5 KiB
   * @example
   * const key = await LegacyKey.fromKeyString({ env: 'MODEL_KEY' });
   */
  static async fromKeyString(source: LegacyText): Promise<LegacyKey> {
    const text = parse(legacyText, source, 'source');
    const { key, tooOpen } = await call((native) => native.legacyKey(only(text)), TOO_LARGE);
    if (text.file !== undefined) warnIfOpen(text.file, tooOpen);
    return new LegacyKey(key);
  }

  /**
   * The key of an archive from the fragment that a server hands out. The fragment is the key string, so this is
   * {@link fromKeyString} under the name that says what for.
   * @throws KEY_INVALID, NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT; LIMIT_EXCEEDED for a file above 5 KiB
   * @example
   * const key = await LegacyKey.forArchive({ bytes: fragment });
   */
  static forArchive(fragment: LegacyText): Promise<LegacyKey> {
    return LegacyKey.fromKeyString(fragment);
  }

  /**
   * The resource key: SHA-384(resource salt). With the salts of a default build it is a key that everybody has.
   * @throws SALTS_INVALID, NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT
   * @example
   * const key = await LegacyKey.forResource();
   */
  static async forResource(options?: DerivationOptions): Promise<LegacyKey> {
    const { salts, encoding = 'base64' } = parse(derivationOptions, options) ?? {};
    return LegacyKey.#derive({ kind: 'resource', saltsFile: salts, encoding });
  }

  /**
   * The hardware hash of a machine: SHA-384("Azaion_" ‖ fingerprint ‖ hardware salt). What it is needed for is {@link forDownload}.
   * @throws SALTS_INVALID, HARDWARE_UNREADABLE, NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT
   * @example
   * const hardwareHash = await LegacyKey.hardwareHash({ fingerprint: { file: 'fingerprint.txt' } });
   */
  static async hardwareHash(options?: HardwareHashOptions): Promise<LegacyKey> {
    const { salts, encoding = 'base64', fingerprint } = parse(hardwareHashOptions, options) ?? {};
    return LegacyKey.#derive({ kind: 'hardware', saltsFile: salts, encoding, fingerprint: fingerprint && only(fingerprint) });
  }

  /**
   * The key of an API download: SHA-384(e-mail ‖ password ‖ hardware hash ‖ download salt). The hash goes in as its key string, so
   * `encoding` is that of the result alone.
   * @throws SALTS_INVALID, KEY_INVALID, KEY_TYPE_WRONG, NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT
   * @example
   * const key = await LegacyKey.forDownload({
   *   email: { env: 'GUARD_EMAIL' }, password: { file: '/run/secrets/password' }, hardwareHash: await LegacyKey.hardwareHash(),
   * });
   */
  static async forDownload(options: DownloadKeyOptions): Promise<LegacyKey> {
    const { salts, encoding = 'base64', email, password, hardwareHash } = parse(downloadKeyOptions, options);
    return LegacyKey.#derive({
      kind: 'download',
      saltsFile: salts,
      encoding,
      email: only(email),
      password: only(password),
      hardwareHash: legacyHandle(hardwareHash, 'options.hardwareHash'),
    });
  }

  static async #derive(request: Parameters<NativeBinding['legacyDerive']>[0]): Promise<LegacyKey> {
    const { key, tooOpen } = await call((native) => native.legacyDerive(request), TOO_LARGE);
    for (const path of tooOpen) warnIfOpen(path, true);
    return new LegacyKey(key);
  }
}

const only = ({ file, env, bytes, text = '' }: LegacyText): NativeSecretText =>
  file !== undefined ? { file } : env !== undefined ? { env } : bytes ? { bytes } : { text };

/** The handle of a LegacyKey of either copy of this package; KEY_TYPE_WRONG for anything else. */
export function legacyHandle(value: unknown, where = 'options.key'): KeyHandle {
  const handle = handleOf(value);
  if (handle && call((native) => native.keyType(handle)) === 'legacy') return handle;
  throw wrongType(where, 'a LegacyKey', value);
}
