/** Opens the database as one SQLite file, durable at every commit. */
import { chmod, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Kysely } from 'kysely';
import { makeStateFolder } from '../../base/state-folder.js';
import type { Database } from '../connection.js';
import type { Schema } from '../schema.js';
import type { SqliteDriver, SqliteFile } from './drivers/driver.js';
import { sqliteDriver } from './drivers/index.js';
import { DurableDialect } from './durable-dialect.js';

const BUSY_MS = 5000;

/** The file within a data folder. */
export const databaseFile = (dataFolder: string): string => join(dataFolder, 'guard.db');

/** Opens the database of a data folder; makes both if they are missing, for this user alone. */
export async function openSqlite(dataFolder: string): Promise<Database> {
  const driver = await sqliteDriver();
  await makeStateFolder(dataFolder, '--data');
  await tighten(databaseFile(dataFolder));
  return new Kysely<Schema>({ dialect: new DurableDialect(openFile(driver, databaseFile(dataFolder))) });
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

function openFile(driver: SqliteDriver, path: string): SqliteFile {
  // The log and index beside the file inherit its mode.
  const before = process.umask(0o077);
  try {
    const file = driver.open(path, { busyMs: BUSY_MS });
    try {
      for (const setting of SETTINGS) file.exec(`pragma ${setting}`);
    } catch (error) {
      file.close();
      throw error;
    }
    return file;
  } finally {
    process.umask(before);
  }
}

const SETTINGS = [
  'journal_mode = WAL',
  // An acknowledged commit is on the disk.
  'synchronous = FULL',
  'foreign_keys = ON',
  // Deleted bytes are overwritten: erased keys must not stay in free pages.
  'secure_delete = ON',
  'trusted_schema = OFF',
  // Negative: KiB. The two drivers have different defaults.
  'cache_size = -16000',
];
