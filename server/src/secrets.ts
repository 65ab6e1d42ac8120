/** Secrets that are text: a file of the secrets folder, else the environment, else a development default. */
import { join } from 'node:path';
import { isModelGuardError, ModelGuardError, readAtMost } from '@org/model-guard/server-kit';
import type { Config } from './config.js';

/** Bytes. */
const MAX_SECRET = 64 * 1024;

/** The place and the rules secrets are found by. `production`: no secret is taken that everybody knows. */
export type SecretPlace = Pick<Config, 'secretsFolder' | 'production'>;

/**
 * `model_guard_<name>` of the secrets folder, else `MODEL_GUARD_<NAME>`; undefined where neither is. One line feed at the end is not
 * part of it.
 */
export async function findSecret(
  { secretsFolder }: SecretPlace,
  name: string,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string | undefined> {
  const path = join(secretsFolder, `model_guard_${name}`);
  try {
    return Buffer.from(await readAtMost(path, MAX_SECRET))
      .toString('utf8')
      .replace(/\r?\n$/, '');
  } catch (cause) {
    if (!isAbsent(cause)) throw new ModelGuardError('IO_FAILED', `Could not read ${path}`, { cause });
  }
  return environment[`MODEL_GUARD_${name.toUpperCase()}`];
}

const isAbsent = (error: unknown): boolean => {
  const { code } = (isModelGuardError(error) ? error.cause : error) as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
};

/**
 * A secret that must be; in development a well-known default stands in.
 * @throws INVALID_ARGUMENT in production where it is missing or is the default; where it is shorter than `minBytes`
 */
export async function secret(
  place: SecretPlace,
  name: string,
  { development, minBytes }: { readonly development: string; readonly minBytes: number },
  environment: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const found = await findSecret(place, name, environment);
  const value = found ?? development;
  const where = `model_guard_${name} (${join(place.secretsFolder, `model_guard_${name}`)} or MODEL_GUARD_${name.toUpperCase()})`;
  if (place.production && value === development)
    throw new ModelGuardError(
      'INVALID_ARGUMENT',
      `Neither production nor what others can reach runs with a development secret: set ${where}`,
    );
  if (Buffer.byteLength(value) < minBytes)
    throw new ModelGuardError('INVALID_ARGUMENT', `The secret ${where} has fewer than ${minBytes} bytes`);
  return value;
}
