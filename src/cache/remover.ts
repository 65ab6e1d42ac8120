/** Removes files of the cache one by one. A file that cannot be removed does not keep the others from being removed. */
import { unlink } from 'node:fs/promises';
import { hasCode } from '../errors.js';
import { withFileErrors } from '../files/files.js';
import type { CacheEntry } from './entry.js';

/** The entries that were removed, and for each file that could not be, the error. */
export interface Removal {
  readonly removed: readonly CacheEntry[];
  /** One error for each file that could not be removed: PERMISSION_DENIED, READ_ONLY, IO_FAILED. */
  readonly failures: readonly unknown[];
}

export class Remover implements Removal {
  readonly removed: CacheEntry[] = [];
  readonly failures: unknown[] = [];

  /** Removes the file of `entry`, or a temporary file. Whether it is gone; never rejects. */
  async remove(path: string, entry?: CacheEntry): Promise<boolean> {
    try {
      await withFileErrors('Cannot remove', path, () => unlink(path));
      if (entry) this.removed.push(entry);
      return true;
    } catch (error) {
      // Another process has removed it.
      if (hasCode(error, 'NOT_FOUND')) return true;
      this.failures.push(error);
      return false;
    }
  }
}
