/** Making sure that what was deleted is not on the disk any more. */
import { open } from 'node:fs/promises';
import { sql } from 'kysely';
import type { Database } from '../context.js';
import { databaseFile } from './open.js';

const PIECE = 1024 * 1024;

/**
 * After a deletion, for its bytes. Deleted rows are overwritten (`secure_delete`), but the log beside the file still holds older pages,
 * and pages that were rebuilt may hold copies: the first is emptied; where the second is so, the whole file is written anew.
 */
export async function scrub(db: Database, dataFolder: string, gone: readonly Buffer[]): Promise<void> {
  await emptyLog(db);
  if (gone.length === 0 || !(await holdsAny(databaseFile(dataFolder), gone))) return;
  await sql`VACUUM`.execute(db);
  await emptyLog(db);
}

/** Into the file, and the log to nothing. */
async function emptyLog(db: Database): Promise<void> {
  await sql`PRAGMA wal_checkpoint(TRUNCATE)`.execute(db);
}

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
