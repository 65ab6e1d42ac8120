/**
 * Reads secrets from files of the secrets folder, else from the environment. Secrets are bytes; the few that are text must be
 * UTF-8.
 */
import { isUtf8 } from 'node:buffer';
import { join } from 'node:path';
import { isModelGuardError, ModelGuardError, readAtMost } from '@org/model-guard/server-kit';
import type { Config } from './config.js';
import { DEVELOPMENT_SECRET, SHORTEST_KEY, weaknessOfKey, weaknessOfPassword } from './secret-strength.js';

/** Bytes. */
const MAX_SECRET = 64 * 1024;
const RANDOM_BYTES = 'Make one of random bytes: `openssl rand 32`.';
const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const DELETE = 0x7f;

/** The folder of secrets; `production` refuses secrets that can be guessed. */
export type SecretPlace = Pick<Config, 'secretsFolder' | 'production'>;

const fileOf = ({ secretsFolder }: SecretPlace, name: string): string => join(secretsFolder, `model_guard_${name}`);
const variableOf = (name: string): string => `MODEL_GUARD_${name.toUpperCase()}`;
/** INVALID_ARGUMENT that names both places of the secret, and holds nothing of it. */
function refusedSecret(place: SecretPlace, name: string, what: string, advice: string): ModelGuardError {
  const where = `${fileOf(place, name)} or ${variableOf(name)}`;
  return new ModelGuardError('INVALID_ARGUMENT', `The secret model_guard_${name} (${where}) ${what}`, { advice });
}

/**
 * The bytes of the file `model_guard_<name>` in the secrets folder, else of the variable `MODEL_GUARD_<NAME>`; undefined where
 * neither exists. One line feed at the end of a text file is not part of the secret; in any other file every byte counts.
 * @throws IO_FAILED; INVALID_ARGUMENT for a variable whose bytes were lost because they are not UTF-8
 */
export async function findSecret(
  place: SecretPlace,
  name: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Uint8Array | undefined> {
  const path = fileOf(place, name);
  try {
    return withoutLineFeed(await readAtMost(path, MAX_SECRET));
  } catch (cause) {
    if (!isAbsent(cause)) throw new ModelGuardError('IO_FAILED', `Could not read ${path}`, { cause });
  }
  const value = environment[variableOf(name)];
  // Node replaces bytes that are not UTF-8 by U+FFFD, which makes one secret of many.
  if (value?.includes('\ufffd'))
    throw refusedSecret(place, name, 'is not UTF-8 in the environment', 'Put its bytes into the file.');
  return value === undefined ? undefined : Buffer.from(value);
}

/** {@link findSecret} as text. @throws INVALID_ARGUMENT where it is not UTF-8 */
export async function findText(
  place: SecretPlace,
  name: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const bytes = await findSecret(place, name, environment);
  if (bytes !== undefined && !isUtf8(bytes)) throw refusedSecret(place, name, 'is not UTF-8', 'Write it as text in UTF-8.');
  return bytes && Buffer.from(bytes).toString('utf8');
}

/**
 * A secret that makes signatures, at least 32 bytes.
 * @throws INVALID_ARGUMENT for a shorter one; in production for every one that can be guessed
 */
export async function findKey(
  place: SecretPlace,
  name: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Uint8Array | undefined> {
  const key = await findSecret(place, name, environment);
  const weakness = key && weaknessOfKey(key);
  if (key !== undefined && weakness !== undefined && (place.production || key.length < SHORTEST_KEY))
    throw refusedSecret(place, name, weakness, RANDOM_BYTES);
  return key;
}

/**
 * {@link findKey}; in development a well-known secret is the default.
 * @throws INVALID_ARGUMENT in production where it is missing
 */
export async function demandKey(
  place: SecretPlace,
  name: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Uint8Array> {
  const key = await findKey(place, name, environment);
  if (key === undefined && place.production)
    throw refusedSecret(
      place,
      name,
      'is missing, and neither production nor a server that other machines can reach runs with a development secret',
      RANDOM_BYTES,
    );
  return key ?? Buffer.from(DEVELOPMENT_SECRET);
}

/** @throws INVALID_ARGUMENT in production, for a password of another system that can be guessed */
export function refuseGuessable(place: SecretPlace, name: string, password: string): void {
  const weakness = place.production ? weaknessOfPassword(password) : undefined;
  if (weakness !== undefined)
    throw refusedSecret(place, name, `holds a password that ${weakness}`, 'Have that system make a random one.');
}

const isAbsent = (error: unknown): boolean => {
  const { code } = (isModelGuardError(error) ? error.cause : error) as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
};

/** Editors and `echo` end a text with a line feed. In random bytes that byte counts. */
function withoutLineFeed(bytes: Uint8Array): Uint8Array {
  if (bytes.at(-1) !== LINE_FEED) return bytes;
  const rest = bytes.subarray(0, bytes.at(-2) === RETURN ? -2 : -1);
  return rest.every(isPrintable) && isUtf8(rest) ? rest : bytes;
}

/** Whether the byte is a tab, part of a line end, or no control character. */
const isPrintable = (byte: number): boolean =>
  (byte >= 0x20 && byte !== DELETE) || byte === 0x09 || byte === LINE_FEED || byte === RETURN;
