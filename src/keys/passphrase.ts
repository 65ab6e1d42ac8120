import { z } from 'zod';
import { bytes, filePath, parse } from '../base/validate.js';
import { call } from '../native/index.js';
import { type ReadKeyOptions, readKeyOptions, readSecretFile } from './files.js';
import { make, type Passphrase } from './secret.js';

export const passphraseSource = z
  .strictObject({ file: filePath.optional(), env: filePath.optional(), bytes: bytes.optional() })
  .refine(
    (source) => Object.values(source).filter((value) => value !== undefined).length === 1,
    'wants exactly one of file, env, bytes',
  );

/** Where a passphrase comes from: exactly one of the three. A JavaScript string is not among them, since it cannot be wiped. */
export interface PassphraseSource {
  /** A file, read natively. */
  readonly file?: string | undefined;
  /** The name of an environment variable, read natively. */
  readonly env?: string | undefined;
  /** UTF-8 bytes; copied, so wipe yours afterwards. */
  readonly bytes?: Uint8Array | undefined;
}

/**
 * A passphrase as recipient or identity: 1 to 1,024 bytes of UTF-8; one trailing newline is dropped. Each use runs scrypt
 * (RFC 7914) with 128 MiB of memory, a few tenths of a second; at most one passphrase per container. The writer of a pipe is waited
 * for, until `signal` aborts.
 * @throws PASSPHRASE_INVALID, NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT
 * @example
 * const identity = await passphrase({ file: '/run/secrets/model-passphrase' });
 */
export async function passphrase(source: PassphraseSource, options?: ReadKeyOptions): Promise<Passphrase> {
  const { file, env, bytes } = parse(passphraseSource, source, 'source');
  const { signal } = parse(readKeyOptions, options) ?? {};
  if (bytes) return make.passphrase(call((native) => native.passphraseFromBytes(bytes)));
  if (env) return make.passphrase(call((native) => native.passphraseFromEnvironment(env)));
  const path = file as string;
  const key = await readSecretFile(path, 'passphrase file', signal, (native, control) =>
    native.readPassphraseFile(path, control),
  );
  return make.passphrase(key);
}
