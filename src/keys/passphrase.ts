import { call } from '../native/index.js';
import { parse, passphraseSource } from '../options.js';
import type { PassphraseSource } from '../types.js';
import { warnIfOpen } from './files.js';
import { make, type Passphrase } from './secret.js';

/**
 * A passphrase as recipient or identity: 1 to 1,024 bytes of UTF-8; one trailing newline is dropped. Each use runs scrypt
 * (RFC 7914) with 128 MiB of memory, a few tenths of a second; at most one passphrase per container.
 * @throws PASSPHRASE_INVALID, NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT
 * @example
 * const identity = await passphrase({ file: '/run/secrets/model-passphrase' });
 */
export async function passphrase(source: PassphraseSource): Promise<Passphrase> {
  const { file, env, bytes } = parse(passphraseSource, source, 'source');
  if (bytes) return make.passphrase(call((native) => native.passphraseFromBytes(bytes)));
  if (env) return make.passphrase(call((native) => native.passphraseFromEnvironment(env)));
  const path = file as string;
  const { key, tooOpen } = await call((native) => native.readPassphraseFile(path));
  warnIfOpen(path, tooOpen);
  return make.passphrase(key);
}
