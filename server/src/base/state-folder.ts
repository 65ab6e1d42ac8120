/** Makes the folders of the server's state. */
import { mkdir } from 'node:fs/promises';
import { ModelGuardError, systemCode } from '@org/model-guard/server-kit';

/**
 * Makes a folder and its parents where they are missing, for this user alone.
 * @param flag The flag that names the folder.
 * @throws IO_FAILED where a file is in the way; PERMISSION_DENIED, READ_ONLY, NO_SPACE
 */
export async function makeStateFolder(path: string, flag: '--data' | '--keys-folder'): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EEXIST' || code === 'ENOTDIR')
      throw new ModelGuardError('IO_FAILED', `${path} is a file, or lies below one, and a folder is wanted`, {
        cause,
        advice: `Give a folder (${flag}).`,
      });
    throw new ModelGuardError(systemCode(cause as NodeJS.ErrnoException), `Cannot make the folder ${path} (${code})`, {
      cause,
      advice: `Give a folder that this user may make or write to (${flag}).`,
    });
  }
}
