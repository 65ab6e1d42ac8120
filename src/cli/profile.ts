/** What `login` and `enroll` remember of a guard server, so that other commands need not be told again. Nothing secret. */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { hasCode, ModelGuardError } from '../errors.js';
import { attempt, makeFolder, writeAll, writeWhole } from '../files.js';
import { filePath } from '../options.js';

const shape = z.strictObject({
  url: z.url(),
  /** Pinned: `mgs1:…`. */
  serverKey: z.string(),
  /** File with e-mail address and password; they are never kept here. */
  credentials: filePath.optional(),
  ca: filePath.optional(),
  clientCertificate: filePath.optional(),
  clientKey: filePath.optional(),
  /** The device's key file. */
  device: filePath.optional(),
  /** Pinned publisher keys, by model name. */
  publishers: z.record(z.string(), z.array(z.string())).optional(),
});
export type Profile = z.output<typeof shape>;

/** `$XDG_CONFIG_HOME/model-guard/server.json`, unless said otherwise. */
export const profilePath = (given?: string): string =>
  resolve(given ?? join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'model-guard', 'server.json'));

/** NOT_FOUND with what to do, INVALID_ARGUMENT for what is no profile. */
export async function readProfile(given?: string): Promise<Profile> {
  const path = profilePath(given);
  const text = await attempt('Cannot read', path, () => readFile(path, 'utf8')).catch((cause: unknown) => {
    if (!hasCode(cause, 'NOT_FOUND')) throw cause;
    throw new ModelGuardError('NOT_FOUND', `No guard server is known here (${path})`, {
      cause,
      advice: 'Name one first: `model-guard login --url https://… --server-key mgs1:… --credentials FILE`.',
    });
  });
  try {
    return shape.parse(JSON.parse(text));
  } catch (cause) {
    throw new ModelGuardError('INVALID_ARGUMENT', `${path} is not a profile of a guard server`, {
      cause,
      advice: 'Correct it, or remove it and log in again.',
    });
  }
}

export async function writeProfile(given: string | undefined, profile: Profile): Promise<string> {
  const path = profilePath(given);
  await makeFolder(resolve(path, '..'));
  const text = `${JSON.stringify(shape.parse(profile), undefined, 2)}\n`;
  await writeWhole(path, (handle) => writeAll(handle, Buffer.from(text)), { overwrite: true });
  return path;
}
