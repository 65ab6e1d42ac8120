/** What PostgreSQL keeps of deleted rows: old versions in the files of their tables, for as long as anybody might still see them. */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { failureOf } from './failures.js';
import { connectionTo } from './pool.js';

const ATTEMPTS = 30;
const PAUSE_MS = 100;
/** Whoever wants the table waits behind this. */
const LOCK_MS = 1000;
const NO_LOCK = '55P03';

/**
 * Writes the tables anew, without what was deleted; the old files are gone then. False while others use a table, or read what it held.
 * Write-ahead log, archives and backups end by the operator's dates.
 */
export async function rewriteTables(url: string, tables: readonly string[]): Promise<boolean> {
  if (tables.length === 0) return true;
  // Not one of the pool: it takes as long as it takes, and says how it went.
  const client = new pg.Client({ ...connectionTo(url), lock_timeout: LOCK_MS });
  client.on('error', () => undefined);
  try {
    await client.connect();
    for (const table of tables) if (!(await rewritten(client, table))) return false;
    return true;
  } catch (error) {
    throw failureOf(error, false);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function rewritten(client: pg.Client, table: string): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    if ((await rowsKept(client, table)) === 0) return true;
    if (attempt === ATTEMPTS) return false;
    await delay(PAUSE_MS);
  }
}

/** How many deleted rows are still there afterwards, since somebody may see them. It is a number in a notice, in any language. */
async function rowsKept(client: pg.Client, table: string): Promise<number> {
  let kept = Number.POSITIVE_INFINITY;
  const listen = ({ detail }: { readonly detail?: string | undefined }): void => {
    const [found] = /[0-9]+/.exec(detail ?? '') ?? [];
    if (found !== undefined) kept = Number(found);
  };
  client.on('notice', listen);
  try {
    await client.query(`vacuum (full, verbose) ${client.escapeIdentifier(table)}`);
    return kept;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === NO_LOCK) return Number.POSITIVE_INFINITY;
    throw error;
  } finally {
    client.off('notice', listen);
  }
}
