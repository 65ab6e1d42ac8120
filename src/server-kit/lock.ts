/** Locks that end with their process, however it ends. */
import { call } from '../native/index.js';

/** A lock that ends when its handle is collected would end early where no one keeps it. */
const held = new Set<object>();

/**
 * Makes the file (0600) where it is missing and locks it until `release`, or until this process ends. The file stays.
 * @returns undefined where another process, or another call of this one, holds it
 * @throws PERMISSION_DENIED, IO_FAILED, NOT_FOUND without its folder
 */
export async function lockFile(path: string): Promise<{ release(): void } | undefined> {
  const lock = await call((native) => native.lockFile(path));
  if (!lock) return undefined;
  held.add(lock);
  return {
    release() {
      held.delete(lock);
      lock.release();
    },
  };
}
