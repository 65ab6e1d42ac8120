/**
 * Reads and writes the profile: the guard server of this user, which `login` and `enroll` keep for other commands. It has addresses and
 * pinned keys, no secrets, and no way to switch a check off.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { MAX_URL } from '../base/limits.js';
import { list, record, text } from '../base/schemas.js';
import { filePath } from '../base/validate.js';
import { hasCode, ModelGuardError } from '../errors.js';
import { makeFolder, readBounded, withFileErrors, writeAll, writeWhole } from '../files/files.js';
import { refuseUnsafeFile } from '../files/safe-file.js';
import { userFolder } from '../files/user-folder.js';

const MAX_BYTES = 1024 * 1024;
const MAX_KEYS = 64;
/** Characters: longer ones are no keys or names. */
const MAX_KEY = 256;
const MAX_NAME = 256;
const MAX_MODELS = 10_000;
/** Absolute, so that the working folder of a command does not matter. */
const wholePath = filePath.refine((path) => isAbsolute(path), 'wants an absolute path');
const shape = z.strictObject({
  url: text(MAX_URL).check(z.url()),
  /** Pinned: `mgs1:…`. */
  serverKey: text(MAX_KEY),
  /** File with e-mail address and password; they are never kept here. */
  credentials: wholePath.optional(),
  ca: wholePath.optional(),
  clientCertificate: wholePath.optional(),
  clientKey: wholePath.optional(),
  /** The device's key file. */
  device: wholePath.optional(),
  /** Folder of the device's memory. */
  state: wholePath.optional(),
  /** Pinned publisher keys, by model name. */
  publishers: record(text(MAX_NAME), list(text(MAX_KEY), MAX_KEYS), MAX_MODELS).optional(),
});
export type Profile = z.output<typeof shape>;

const ELSEWHERE = 'Name the profile with --profile, or its folder with the variable XDG_CONFIG_HOME.';

/** Default: `$XDG_CONFIG_HOME/model-guard/server.json`. @throws INVALID_ARGUMENT without a home folder */
export function profilePath(given?: string): string {
  if (given !== undefined) return resolve(given);
  const folder = userFolder('XDG_CONFIG_HOME');
  if (folder !== undefined) return join(folder, 'server.json');
  throw new ModelGuardError('INVALID_ARGUMENT', 'There is no home folder to look for a profile in', {
    advice: ELSEWHERE,
  });
}

/** @throws NOT_FOUND · INVALID_ARGUMENT if it is no profile · FILE_UNSAFE if another user can change it */
export async function readProfile(given?: string): Promise<Profile> {
  const path = profilePath(given);
  await refuseUnsafeFile(path);
  const bytes = await readBounded(path, MAX_BYTES).catch((cause: unknown) => {
    if (!hasCode(cause, 'NOT_FOUND')) throw cause;
    throw new ModelGuardError('NOT_FOUND', `No guard server is known here (${path})`, {
      cause,
      advice: 'Name one first: `model-guard login --url https://… --server-key mgs1:… --credentials FILE`.',
    });
  });
  try {
    return shape.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch (cause) {
    throw new ModelGuardError('INVALID_ARGUMENT', `${path} is not a profile of a guard server`, {
      cause,
      advice: 'Correct it, or remove it and log in again.',
    });
  }
}

/** Writes it into a folder that only this user may write to, which is made if it is missing. @throws FILE_UNSAFE */
export async function writeProfile(given: string | undefined, profile: Profile): Promise<string> {
  const path = profilePath(given);
  const folder = dirname(path);
  await makeProfileFolder(folder);
  await refuseUnsafeFile(path);
  const text = `${JSON.stringify(shape.parse(profile), undefined, 2)}\n`;
  await writeWhole(path, (handle) => writeAll(handle, Buffer.from(text)), { overwrite: true });
  return path;
}

async function makeProfileFolder(folder: string): Promise<void> {
  try {
    await makeFolder(dirname(folder));
    // Private under any umask.
    await withFileErrors('Cannot make the folder', folder, () => mkdir(folder, { mode: 0o700 }));
  } catch (cause) {
    if (hasCode(cause, 'ALREADY_EXISTS')) return;
    if (!hasCode(cause, 'PERMISSION_DENIED') && !hasCode(cause, 'READ_ONLY')) throw cause;
    throw new ModelGuardError(cause.code, `The profile cannot be kept in ${folder}`, { cause, advice: ELSEWHERE });
  }
}
