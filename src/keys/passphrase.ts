import { call } from '../native/index.js';
import { controlled } from '../native/work.js';
import { parse, passphraseSource, readKeyOptions } from '../options.js';
import type { PassphraseSource, ReadKeyOptions } from '../types.js';
import { warnIfOpen } from './files.js';
import { make, type Passphrase } from './secret.js';

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
  const { key, tooOpen } = await controlled(signal, (control) => call((native) => native.readPassphraseFile(path, control)));
  warnIfOpen(path, tooOpen);
  return make.passphrase(key);
}
