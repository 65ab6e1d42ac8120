/** One server at a time for a data folder with SQLite: claims, leases of work and the reserve of the disk count on it. */
import { join } from 'node:path';
import { lockFile, ModelGuardError } from '@org/model-guard/server-kit';
import { makeStateFolder } from '../../state-folder.js';

/** The lock of a data folder. The file stays there; the lock ends with the process, however that ends. */
export const folderLockFile = (dataFolder: string): string => join(dataFolder, 'guard.lock');

/**
 * Holds the data folder for a server until `release`; makes it if it is missing, for this user alone. Commands that change the database in one
 * transaction of their own need no lock.
 * @throws IN_USE while another server holds it
 */
export async function lockDataFolder(dataFolder: string): Promise<{ release(): void }> {
  await makeStateFolder(dataFolder, '--data');
  const lock = await lockFile(folderLockFile(dataFolder));
  if (lock) return lock;
  throw new ModelGuardError('IN_USE', `Another guard server runs on the data folder ${dataFolder}`, {
    advice:
      'Stop it first, or give this one a folder of its own (--data). Several servers share a database only in PostgreSQL (DATABASE_URL).',
  });
}
