/** A pooled connection for one query or one transaction. */
import type { PostgresPoolClient } from 'kysely';
import type pg from 'pg';
import { DatabaseUnavailable } from '../unavailable.js';
import { endsConnection, failureOf, notConnected } from './failures.js';

/** Transactions wait for each other, so they have connections of their own: reads need not wait with them. */
export interface Pools {
  readonly transactions: pg.Pool;
  readonly queries: pg.Pool;
}

const READS = /^\s*(select|show|explain)\b/;

/** Taken from its pool by the first query, which shows the purpose. */
export function borrowed({ transactions, queries }: Pools): PostgresPoolClient {
  let client: pg.PoolClient | undefined;
  let broken = false;
  let inTransaction = false;

  const connected = async (pool: pg.Pool): Promise<pg.PoolClient> => {
    try {
      return await pool.connect();
    } catch (error) {
      throw notConnected(error);
    }
  };

  const query = async (text: string, parameters: readonly unknown[]): Promise<pg.QueryResult> => {
    const beginning = text.startsWith('begin');
    const ending = text === 'commit' || text === 'rollback';
    // A rollback on a connection that does not answer would only wait again, and a transaction that never began needs none.
    if (broken || (ending && !client)) throw new DatabaseUnavailable('The connection to the database is gone', true);
    client ??= await connected(beginning ? transactions : queries);
    if (beginning) inTransaction = true;
    // A write outside of a transaction commits itself.
    const committing = text === 'commit' || !(inTransaction || ending || READS.test(text));
    let result: pg.QueryResult;
    try {
      result = await client.query(text, [...parameters]);
    } catch (error) {
      broken ||= endsConnection(error);
      throw failureOf(error, committing);
    }
    if (ending) inTransaction = false;
    // PostgreSQL answers a commit with ROLLBACK and no error, where a query of the transaction had failed.
    if (text === 'commit' && result.command !== 'COMMIT')
      throw new Error('A transaction was not committed: a part of it had failed');
    return result;
  };

  // A transaction that could not be ended ends with its connection. Cursors are not used.
  const release = (): void => client?.release(broken || inTransaction);
  return { query: query as unknown as PostgresPoolClient['query'], release };
}
