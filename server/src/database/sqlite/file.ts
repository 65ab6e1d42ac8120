/** Opens the database as one SQLite file, durable at every commit. */
import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { Kysely } from 'kysely';
import { makeStateFolder } from '../../base/state-folder.js';
import type { Database } from '../connection.js';
import type { Schema } from '../schema.js';
import { DurableDialect } from './driver.js';

const BUSY_MS = 5000;

/** The file within a data folder. */
export const databaseFile = (dataFolder: string): string => join(dataFolder, 'guard.db');

/** Opens the database of a data folder; makes both if they are missing, for this user alone. */
export async function openSqlite(dataFolder: string): Promise<Database> {
  await makeStateFolder(dataFolder, '--data');
  await tighten(databaseFile(dataFolder));
  return new Kysely<Schema>({ dialect: new DurableDialect(openFile(databaseFile(dataFolder))) });
}

/** Closes files to other users: a copied or restored database may be open to them. */
async function tighten(file: string): Promise<void> {
  for (const path of [file, `${file}-wal`, `${file}-shm`]) {
    const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    if (found && (found.mode & 0o077) !== 0) await chmod(path, 0o600);
  }
}

function openFile(path: string): Sqlite.Database {
  // The log and index beside the file inherit its mode.
  const before = process.umask(0o077);
  try {
    const file = new Sqlite(path, { timeout: BUSY_MS });
    file.pragma('journal_mode = WAL');
    // An acknowledged commit is on the disk.
    file.pragma('synchronous = FULL');
    file.pragma('foreign_keys = ON');
    // Deleted bytes are overwritten: erased keys must not stay in free pages.
    file.pragma('secure_delete = ON');
    file.pragma('trusted_schema = OFF');
    return file;
  } finally {
    process.umask(before);
  }
}
