/** Removes deleted bytes from the disk. */
import { randomBytes } from 'node:crypto';
import type { Transaction } from 'kysely';
import type { Logger } from 'pino';
import type { Config } from '../base/config.js';
import type { Database } from './connection.js';
import { scrubTables } from './postgres/scrub.js';
import type { Schema } from './schema.js';
import { databaseFile } from './sqlite/file.js';
import { scrubFile } from './sqlite/scrub.js';

type Table = keyof Schema & string;
/**
 * Small tables, which are rewritten so that no deleted byte stays. What `versions` and `archives` held is wrapped to a key whose
 * file is destroyed at its end; rewriting such large tables would stop all requests for a long time.
 */
const BARE: ReadonlySet<string> = new Set<Table>(['subjects', 'users', 'login_failures', 'login_turns', 'known_networks']);

/** A database and its place. */
interface Scrubbed {
  readonly db: Database;
  readonly config: Pick<Config, 'databaseUrl' | 'dataFolder'>;
  readonly log: Pick<Logger, 'warn' | 'error'>;
}

/** A deletion whose bytes are to be removed. */
export interface Deleted {
  /** The result of {@link noteDeletion}. */
  readonly note: string;
  /** Bytes that must not be found any more. */
  readonly gone: readonly Buffer[];
}

/**
 * Writes a note that stays until the bytes of a deletion are gone, since a process may be killed before.
 * @param from the tables that held the bytes
 */
export async function noteDeletion(trx: Transaction<Schema>, from: readonly Table[]): Promise<string> {
  const note = `${NOTE}${randomBytes(16).toString('hex')}`;
  await trx.insertInto('meta').values({ key: note, value: from.join() }).execute();
  return note;
}
const NOTE = 'unfinished_scrubbing:';

/**
 * Removes the bytes of `deleted`; without it, of every noted deletion, whose bytes are not known any more. Bytes that other
 * transactions may still read are left to a later call.
 */
export async function scrub(context: Scrubbed, deleted?: Deleted): Promise<void> {
  const { db, log } = context;
  const notes = (await notesIn(db)).filter(({ key }) => deleted === undefined || key === deleted.note);
  try {
    if (await done(context, deleted, new Set(notes.flatMap(({ value }) => value.split(','))))) {
      const keys = notes.map(({ key }) => key);
      if (keys.length > 0) await db.deleteFrom('meta').where('key', 'in', keys).execute();
    } else log.warn('other transactions read the database: deleted bytes stay in it until the hourly pass removes them');
  } catch (err) {
    log.error({ err }, 'deleted bytes stay in the database until the hourly pass removes them');
  }
}

function done(
  { db, config }: Pick<Scrubbed, 'db' | 'config'>,
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
