/** Making sure that what was deleted is not on the disk any more. */
import { randomBytes } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { Context, Database } from '../context.js';
import { rewriteTables } from './postgres/scrubbing.js';
import type { Schema } from './schema.js';
import { databaseFile } from './sqlite/file.js';
import { scrubFile } from './sqlite/scrubbing.js';

type Table = keyof Schema & string;
/** Tables that secrets or personal data are deleted from. */
const ALL: readonly Table[] = ['subjects', 'users', 'login_failures', 'versions', 'archives'];

/** What was deleted. */
export interface Deleted {
  /** Of {@link noteDeletion}. */
  readonly note: string;
  /** Bytes that must not be found any more. */
  readonly gone: readonly Buffer[];
  /** Where they were. */
  readonly from: readonly Table[];
}

/** Stands in the database from a deletion on until its bytes are gone: a process may be killed between the two. */
export async function noteDeletion(trx: Transaction<Schema>): Promise<string> {
  const note = `${NOTE}${randomBytes(16).toString('hex')}`;
  await trx.insertInto('meta').values({ key: note, value: '' }).execute();
  return note;
}
const NOTE = 'unfinished_scrubbing:';

/**
 * After a deletion, and now and then without one. What cannot be done, as others read old rows, is left to a later call: nobody knows
 * any more then which bytes it was, so that everything is written anew.
 */
export async function scrub(context: Pick<Context, 'db' | 'config' | 'log'>, deleted?: Deleted): Promise<void> {
  const { db, log } = context;
  const notes = await notesIn(db);
  const known = notes.every((note) => note === deleted?.note);
  try {
    if (await done(context, known ? deleted : undefined, notes.length > 0)) {
      if (notes.length > 0) await db.deleteFrom('meta').where('key', 'in', notes).execute();
    } else log.warn('others read the database: deleted bytes stay in it until the hourly pass removes them');
  } catch (err) {
    log.error({ err }, 'deleted bytes stay in the database until the hourly pass removes them');
  }
}

const done = (
  { db, config }: Pick<Context, 'db' | 'config'>,
  deleted: Deleted | undefined,
  unfinished: boolean,
): Promise<boolean> => {
  const { databaseUrl, dataFolder } = config;
  if (databaseUrl === undefined) return scrubFile(db, databaseFile(dataFolder), deleted?.gone ?? (unfinished ? 'unknown' : []));
  return rewriteTables(databaseUrl, deleted?.from ?? (unfinished ? ALL : []));
};

const notesIn = async (db: Database): Promise<string[]> =>
  (await db.selectFrom('meta').select('key').where('key', '>', NOTE).where('key', '<', `${NOTE}g`).execute()).map(
    ({ key }) => key,
  );
