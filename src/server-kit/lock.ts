/** Locks that end with their process, however it ends. */
import { call } from '../native/index.js';

/**
 * Makes the file (0600) where it is missing and locks it until `release`, or until this process ends. The file stays.
 * @returns undefined where another process, or another call of this one, holds it
 * @throws PERMISSION_DENIED, IO_FAILED, NOT_FOUND without its folder
 */
export async function lockFile(path: string): Promise<{ release(): void } | undefined> {
  return await call((native) => native.lockFile(path));
}
