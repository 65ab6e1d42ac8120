/** The time at which an entry was last used: the modification time of its file. Most disks are mounted without access times. */
import type { FileHandle } from 'node:fs/promises';
import { setTimes } from '../files/files.js';

/**
 * Sets the time of use to now. Some file systems cannot set times, and some files are read-only: an entry is used all the same, and its age
 * counts from when it was written.
 */
export async function markUsed(handle: FileHandle): Promise<void> {
  await setTimes(handle, new Date()).catch(() => undefined);
}
