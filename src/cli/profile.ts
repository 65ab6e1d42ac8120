/**
 * The guard server of this user, as `login` and `enroll` write it down for other commands: addresses, and the keys that are pinned.
 * Nothing secret, and no way to switch a check off.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { z } from 'zod';
import { list, record, text } from '../bounded.js';
import { hasCode, ModelGuardError } from '../errors.js';
import { attempt, makeFolder, readBounded, writeAll, writeWhole } from '../files.js';
import { MAX_URL } from '../limits.js';
import { filePath } from '../options.js';
import { refuseUnsafeFile } from '../safe-file.js';
import { userFolder } from '../user-folder.js';

const MAX_BYTES = 1024 * 1024;
const MAX_KEYS = 64;
/** Characters: longer ones are no keys or names. */
const MAX_KEY = 256;
const MAX_NAME = 256;
const MAX_MODELS = 10_000;
/** The folder a command runs in decides nothing. */
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
  /** Folder of what the device remembers. */
  state: wholePath.optional(),
  /** Pinned publisher keys, by model name. */
  publishers: record(text(MAX_NAME), list(text(MAX_KEY), MAX_KEYS), MAX_MODELS).optional(),
});
export type Profile = z.output<typeof shape>;

/** `$XDG_CONFIG_HOME/model-guard/server.json`, unless said otherwise. INVALID_ARGUMENT where there is no home folder. */
export function profilePath(given?: string): string {
  if (given !== undefined) return resolve(given);
  const folder = userFolder('XDG_CONFIG_HOME');
  if (folder !== undefined) return join(folder, 'server.json');
  throw new ModelGuardError('INVALID_ARGUMENT', 'There is no home folder to look for a profile in', {
    advice: 'Name the profile with --profile, or its folder with the variable XDG_CONFIG_HOME.',
  });
}

/** NOT_FOUND with what to do, INVALID_ARGUMENT for what is no profile, FILE_UNSAFE for one that another user can change. */
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

/** The same in a folder that this user alone may write to; it is made where there is none. FILE_UNSAFE */
export async function writeProfile(given: string | undefined, profile: Profile): Promise<string> {
  const path = profilePath(given);
  const folder = dirname(path);
  await makeFolder(dirname(folder));
  // Private whatever the umask says.
  await attempt('Cannot make the folder', folder, () => mkdir(folder, { mode: 0o700 })).catch((error: unknown) => {
    if (!hasCode(error, 'ALREADY_EXISTS')) throw error;
  });
  await refuseUnsafeFile(path);
  const text = `${JSON.stringify(shape.parse(profile), undefined, 2)}\n`;
  await writeWhole(path, (handle) => writeAll(handle, Buffer.from(text)), { overwrite: true });
  return path;
}
