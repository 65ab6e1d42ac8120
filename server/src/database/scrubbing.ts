/** Making sure that what was deleted is not on the disk any more. */
import { randomBytes } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { Context, Database } from '../context.js';
import { scrubTables } from './postgres/scrubbing.js';
import type { Schema } from './schema.js';
import { databaseFile } from './sqlite/file.js';
import { scrubFile } from './sqlite/scrubbing.js';

type Table = keyof Schema & string;
/**
 * Where every byte must go; they are small. What `versions` and `archives` held is wrapped to a key whose file is destroyed when its time
 * is over: writing such tables anew would stop everybody for as long as that takes.
 */
const BARE: ReadonlySet<string> = new Set<Table>(['subjects', 'users', 'login_failures', 'login_turns', 'known_networks']);

/** What was deleted. */
export interface Deleted {
  /** Of {@link noteDeletion}. */
  readonly note: string;
  /** Bytes that must not be found any more. */
  readonly gone: readonly Buffer[];
}

/**
 * Stands in the database from a deletion on until its bytes are gone: a process may be killed between the two.
 * @param from the tables that the bytes were in
 */
export async function noteDeletion(trx: Transaction<Schema>, from: readonly Table[]): Promise<string> {
  const note = `${NOTE}${randomBytes(16).toString('hex')}`;
  await trx.insertInto('meta').values({ key: note, value: from.join() }).execute();
  return note;
}
const NOTE = 'unfinished_scrubbing:';

/**
 * After a deletion, that one; without one, all that is left of others: nobody knows any more then which bytes it was. What cannot be done
 * now, as others read old rows, is left to a later call.
 */
export async function scrub(context: Pick<Context, 'db' | 'config' | 'log'>, deleted?: Deleted): Promise<void> {
  const { db, log } = context;
  const notes = (await notesIn(db)).filter(({ key }) => deleted === undefined || key === deleted.note);
  try {
    if (await done(context, deleted, new Set(notes.flatMap(({ value }) => value.split(','))))) {
      const keys = notes.map(({ key }) => key);
      if (keys.length > 0) await db.deleteFrom('meta').where('key', 'in', keys).execute();
    } else log.warn('others read the database: deleted bytes stay in it until the hourly pass removes them');
  } catch (err) {
    log.error({ err }, 'deleted bytes stay in the database until the hourly pass removes them');
  }
}

function done(
  { db, config }: Pick<Context, 'db' | 'config'>,
  deleted: Deleted | undefined,
  tables: ReadonlySet<string>,
): Promise<boolean> {
  const { databaseUrl, dataFolder } = config;
  const bare = [...tables].filter((table) => BARE.has(table));
  if (databaseUrl === undefined)
    return scrubFile(db, databaseFile(dataFolder), deleted?.gone ?? (bare.length > 0 ? 'unknown' : []));
  return scrubTables(databaseUrl, { anew: bare, inPlace: [...tables].filter((table) => !BARE.has(table)) });
}

const notesIn = (db: Database) =>
  db.selectFrom('meta').selectAll().where('key', '>', NOTE).where('key', '<', `${NOTE}g`).execute();
