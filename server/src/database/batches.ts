import type { DeleteResult, Transaction, UpdateResult } from 'kysely';
import type { Database } from './connection.js';
import type { Schema } from './schema.js';

/** Rows of one transaction, so that a writer waits for no more than these. */
const BATCH = 5000;

/** Changes at most `limit` rows. */
type ChangeRows = (trx: Transaction<Schema>, limit: number) => Promise<DeleteResult | UpdateResult>;

/** Repeats `change`, each time in a transaction of its own, until it changes no row. */
export async function inBatches(db: Database, change: ChangeRows): Promise<void> {
  for (let rows = 1n; rows > 0n; ) {
    const result = await db.transaction().execute((trx) => change(trx, BATCH));
    rows = 'numDeletedRows' in result ? result.numDeletedRows : result.numUpdatedRows;
  }
}
