/** Making sure that what was deleted is not on the disk any more. */
import { open } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { sql } from 'kysely';
import type { Context, Database } from '../context.js';
import { databaseFile } from './open.js';

const PIECE = 1024 * 1024;

/**
 * After a deletion, for its bytes. Deleted rows are overwritten (`secure_delete`), but the log beside the file still holds older pages,
 * and pages that were rebuilt may hold copies: the first is emptied; where the second is so, the whole file is written anew.
 */
export async function scrub({ db, config, log }: Pick<Context, 'db' | 'config' | 'log'>, gone: readonly Buffer[]): Promise<void> {
  const file = databaseFile(config.dataFolder);
  const unfinished = await isUnfinished(db);
  const done = await isScrubbed(db, file, async () => unfinished || (gone.length > 0 && (await holdsAny(file, gone))));
  if (done && unfinished) await db.deleteFrom('meta').where('key', '=', UNFINISHED).execute();
  if (done) return;
  log.warn('another process reads the database: deleted bytes stay in its log until the hourly pass removes them');
  await db
    .insertInto('meta')
    .values({ key: UNFINISHED, value: '' })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Noted while older pages may hold what was deleted: nobody knows any more what to look for, so the file is then written anew. */
const UNFINISHED = 'unfinished_scrubbing';
const isUnfinished = async (db: Database): Promise<boolean> =>
  (await db.selectFrom('meta').select('key').where('key', '=', UNFINISHED).executeTakeFirst()) !== undefined;

async function isScrubbed(db: Database, file: string, mustRewrite: () => Promise<boolean>): Promise<boolean> {
  if (!(await emptyLog(db, file))) return false;
  if (!(await mustRewrite())) return true;
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

/** Into the file, and the log to nothing; false while others read what is only there. */
async function emptyLog(db: Database, file: string): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    // None of our own transactions runs meanwhile.
    if (await db.connection().execute(async () => checkpoint(file))) return true;
    if (attempt === ATTEMPTS) return false;
    await delay(PAUSE_MS);
  }
}

/** Through a connection of its own, which does not wait: this process would answer nobody meanwhile. */
function checkpoint(path: string): boolean {
  const file = new Sqlite(path, { timeout: 0, fileMustExist: true });
  try {
    const [row] = file.pragma('wal_checkpoint(TRUNCATE)') as { readonly busy: number }[];
    return row?.busy === 0;
  } catch (error) {
    if (isBusy(error)) return false;
    throw error;
  } finally {
    file.close();
  }
}

const isBusy = (error: unknown): boolean => error instanceof Sqlite.SqliteError && error.code.startsWith('SQLITE_BUSY');

/** Whether any of `needles` lies in the file. */
export async function holdsAny(file: string, needles: readonly Buffer[]): Promise<boolean> {
  const overlap = Math.max(0, ...needles.map(({ length }) => length - 1));
  const buffer = Buffer.allocUnsafe(overlap + PIECE);
  const handle = await open(file, 'r');
  try {
    for (let kept = 0; ; ) {
      const { bytesRead } = await handle.read(buffer, kept, PIECE);
      if (bytesRead === 0) return false;
      const seen = buffer.subarray(0, kept + bytesRead);
      if (needles.some((needle) => seen.includes(needle))) return true;
      // The end of what was seen may be the beginning of one.
      kept = Math.min(overlap, seen.length);
      buffer.copyWithin(0, seen.length - kept, seen.length);
    }
  } finally {
    await handle.close();
  }
}
