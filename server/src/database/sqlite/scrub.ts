/** Removes deleted rows from the files of SQLite: older pages in the log beside the file, and copies in rebuilt pages. */
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Database } from '../connection.js';
import { DatabaseUnavailable } from '../unavailable.js';
import { type SqliteDriver, SqliteError } from './drivers/driver.js';
import { sqliteDriver } from './drivers/index.js';

const PIECE = 1024 * 1024;

/**
 * Empties the log. Rewrites the whole file where any of `gone` still lies in it, or may lie in it (`unknown`); `secure_delete`
 * has overwritten the rows themselves. False while another connection reads old pages.
 */
export async function scrubFile(db: Database, file: string, gone: readonly Buffer[] | 'unknown'): Promise<boolean> {
  if (!(await emptyLog(db, file))) return false;
  if (gone !== 'unknown' && (gone.length === 0 || !(await holdsAny(file, gone)))) return true;
  try {
    await sql`VACUUM`.execute(db);
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  }
  return await emptyLog(db, file);
}

const ATTEMPTS = 10;
const PAUSE_MS = 50;

/** Moves the log into the file and truncates it; false while another connection reads it. */
async function emptyLog(db: Database, file: string): Promise<boolean> {
  const driver = await sqliteDriver();
  for (let attempt = 1; ; attempt++) {
    // No transaction of this process runs meanwhile.
    if (await db.connection().execute(async () => checkpoint(driver, file))) return true;
    if (attempt === ATTEMPTS) return false;
    await delay(PAUSE_MS);
  }
}

/** Uses a connection of its own that does not wait, since waiting would block this process. */
function checkpoint(driver: SqliteDriver, path: string): boolean {
  const file = driver.open(path, { busyMs: 0, mustExist: true });
  try {
    const [row] = file.prepare('pragma wal_checkpoint(TRUNCATE)').all([]) as { readonly busy: number }[];
    return row?.busy === 0;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  } finally {
    file.close();
  }
}

/** An error of this connection, or of the server's. */
const isBusy = (error: unknown): boolean =>
  error instanceof DatabaseUnavailable || (error instanceof SqliteError && error.code.startsWith('SQLITE_BUSY'));

/** Whether any of `needles` lies in the file. */
async function holdsAny(file: string, needles: readonly Buffer[]): Promise<boolean> {
  const overlap = Math.max(0, ...needles.map(({ length }) => length - 1));
  const buffer = Buffer.allocUnsafe(overlap + PIECE);
  const handle = await open(file, 'r');
  try {
    for (let kept = 0; ; ) {
      const { bytesRead } = await handle.read(buffer, kept, PIECE);
      if (bytesRead === 0) return false;
      const seen = buffer.subarray(0, kept + bytesRead);
      if (needles.some((needle) => seen.includes(needle))) return true;
      // A needle may lie across two pieces.
      kept = Math.min(overlap, seen.length);
      buffer.copyWithin(0, seen.length - kept, seen.length);
    }
  } finally {
    await handle.close();
  }
}
