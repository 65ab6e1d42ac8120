/** A connection of the pool, for one query or one transaction. */
import type { PostgresPoolClient } from 'kysely';
import type pg from 'pg';
import type { Gate } from '../../gate.js';
import { inTime } from '../../in-time.js';
import { DatabaseAway } from '../away.js';
import { endsConnection, failureOf, notConnected } from './failures.js';

/** As long as the database itself waits for the lock. */
const TURN_MS = 10_000;
const READS = /^\s*(select|show|explain)\b/;

/**
 * Taken from the pool when the first query needs it, and a transaction waits for its turn among this process's before that: those who wait
 * hold no connection, so that whoever only reads finds one.
 */
export function borrowed(pool: pg.Pool, turns: Gate): PostgresPoolClient {
  let client: pg.PoolClient | undefined;
  let leave: (() => void) | undefined;
  let broken = false;
  let inTransaction = false;

  const query = async (text: string, parameters: readonly unknown[]): Promise<pg.QueryResult> => {
    const beginning = text.startsWith('begin');
    if (beginning) leave = await turnOf(turns);
    client ??= await pool.connect().catch((error: unknown) => {
      throw notConnected(error);
    });
    if (beginning) inTransaction = true;
    const ending = text === 'commit' || text === 'rollback';
    // What is written outside of a transaction commits itself.
    const committing = text === 'commit' || !(inTransaction || ending || READS.test(text));
    if (ending) inTransaction = false;
    let result: pg.QueryResult;
    try {
      result = await client.query(text, [...parameters]);
    } catch (error) {
      broken ||= endsConnection(error);
      throw failureOf(error, committing);
    }
    // PostgreSQL answers a commit so, without an error, where a query of the transaction had failed.
    if (text === 'commit' && result.command !== 'COMMIT')
      throw new Error('A transaction was not committed: a part of it had failed');
    return result;
  };

  const release = (): void => {
    // A transaction that is still open had no lock: it ends with its connection.
    client?.release(broken || inTransaction);
    leave?.();
  };
  // Of a query alone: nobody asks for a cursor.
  return { query: query as unknown as PostgresPoolClient['query'], release };
}

async function turnOf(turns: Gate): Promise<() => void> {
  const turn = turns.enter();
  try {
    return await inTime(turn, TURN_MS);
  } catch {
    // It comes when nobody waits for it any more.
    turn.then((leave) => leave());
    throw new DatabaseAway('The database takes too long for those who write', true);
  }
}
