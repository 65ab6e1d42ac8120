/** Locks a data folder with SQLite for one server: task leases and the disk reserve assume a single process. */
import { join } from 'node:path';
import { lockFile, ModelGuardError } from '@org/model-guard/server-kit';
import { makeStateFolder } from '../../base/state-folder.js';

/** The lock file of a data folder. The file stays; the lock ends with the process. */
export const folderLockFile = (dataFolder: string): string => join(dataFolder, 'guard.lock');

/**
 * Holds the data folder for a server until `release`; makes it if it is missing, for this user alone. Commands that change the
 * database in one transaction need no lock.
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
