/** Removes deleted rows from the files of PostgreSQL, which keeps old versions while a transaction may still see them. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { failureOf } from './failures.js';
import { connectionTo, set } from './pool.js';

/**
 * Milliseconds to wait for the lock of a table. Other users of the table wait behind it, and have a turn before the next attempt.
 */
const LOCK_MS = 500;
const PAUSE_MS = 250;
const ATTEMPTS = 10;
/** Attempts that got the lock but had to keep rows: transactions that may see them do not end within a moment. */
const REWRITES = 5;
const NO_LOCK = '55P03';

/** Tables that had deletions. */
export interface Scrubbed {
  /** Small tables, which are rewritten; the old files are gone then. */
  readonly anew: readonly string[];
  /** Tables whose space is only freed, while reads and writes go on. */
  readonly inPlace: readonly string[];
}

/**
 * False while other transactions use a table or may see old rows. The write-ahead log, archives and backups end by the operator's
 * dates.
 */
export async function scrubTables(url: string, { anew, inPlace }: Scrubbed): Promise<boolean> {
  if (anew.length + inPlace.length === 0) return true;
  // Not a connection of the pool: it may take long, and its notices are read.
  const client = new pg.Client(connectionTo(url));
  client.on('error', () => undefined);
  try {
    await client.connect();
    await set(client, { lock_timeout: LOCK_MS });
    for (const table of anew) if (!(await rewritten(client, table))) return false;
    for (const table of inPlace) if (!(await vacuumed(client, '', table))) return false;
    return true;
  } catch (error) {
    throw failureOf(error, false);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function rewritten(client: pg.Client, table: string): Promise<boolean> {
  for (let attempt = 1, rewrites = 0; ; attempt++) {
    const kept = await rowsKept(client, table);
    if (kept === 0) return true;
    if (kept !== undefined) rewrites++;
    if (rewrites === REWRITES || attempt === ATTEMPTS) return false;
    await delay(PAUSE_MS);
  }
}

/**
 * The number of deleted rows that stay because a transaction may see them. It stands in a notice, in any language. Undefined
 * where the table is in use.
 */
async function rowsKept(client: pg.Client, table: string): Promise<number | undefined> {
  let kept = Number.POSITIVE_INFINITY;
  const listen = ({ detail }: { readonly detail?: string | undefined }): void => {
    const [found] = /[0-9]+/.exec(detail ?? '') ?? [];
    if (found !== undefined) kept = Number(found);
  };
  client.on('notice', listen);
  try {
    return (await vacuumed(client, '(full, verbose)', table)) ? kept : undefined;
  } finally {
    client.off('notice', listen);
  }
}

/** False where the table's lock could not be taken in time. */
async function vacuumed(client: pg.Client, how: '' | '(full, verbose)', table: string): Promise<boolean> {
  try {
    await client.query(`vacuum ${how} ${client.escapeIdentifier(table)}`);
    return true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === NO_LOCK) return false;
    throw error;
  }
}
