/** What PostgreSQL keeps of deleted rows: old versions in the files of their tables, for as long as anybody might still see them. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { failureOf } from './failures.js';
import { connectionTo, set } from './pool.js';

/** Whoever wants the table waits behind this, and has a turn before the next attempt. */
const LOCK_MS = 500;
const PAUSE_MS = 250;
const ATTEMPTS = 10;
/** That nobody hindered, but that had to keep rows: those who may see them do not end within a moment. */
const REWRITES = 5;
const NO_LOCK = '55P03';

/** Tables that something was deleted from. */
export interface Scrubbed {
  /** Small ones, written anew without it; the old files are gone then. */
  readonly anew: readonly string[];
  /** Those whose space is only made free, while everybody goes on reading and writing. */
  readonly inPlace: readonly string[];
}

/**
 * False while others use a table, or read what it held. Write-ahead log, archives and backups end by the operator's dates.
 */
export async function scrubTables(url: string, { anew, inPlace }: Scrubbed): Promise<boolean> {
  if (anew.length + inPlace.length === 0) return true;
  // Not one of the pool: it takes as long as it takes, and says how it went.
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
 * How many deleted rows are still there afterwards, since somebody may see them. It is a number in a notice, in any language. Undefined
 * where others use the table.
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

/** False where the table's lock was not to be had. */
async function vacuumed(client: pg.Client, how: '' | '(full, verbose)', table: string): Promise<boolean> {
  try {
    await client.query(`vacuum ${how} ${client.escapeIdentifier(table)}`);
    return true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === NO_LOCK) return false;
    throw error;
  }
}
