/** Connections to PostgreSQL: few, each bounded in time, and given up as soon as one fails. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { PostgresPool } from 'kysely';
import pg from 'pg';
import { borrowed, type Pools } from './borrowed.js';

/** More than one, so that the next one waits at the lock already, and one whose connection hangs does not stop the others. */
const MOST_TRANSACTIONS = 3;
const MOST_QUERIES = 7;
/** A replica that hangs or is cut off within a transaction loses it after this: the others wait for its lock. */
const IDLE_IN_TRANSACTION_MS = 5000;
/** Longer, so that whoever waits survives the one that hangs. */
const LOCK_MS = 10_000;
const STATEMENT_MS = 15_000;
/** Longer than the database itself takes to give up: then it is the network. */
const ANSWER_MS = 20_000;
/** For a connection, also a free one of the pool. */
const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 10_000;

/**
 * What every connection is opened with.
 * @throws INVALID_ARGUMENT for a URL that is none of PostgreSQL; it is not in the message, since it holds a password
 */
export function connectionTo(url: string): pg.ClientConfig {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url))
    throw new ModelGuardError('INVALID_ARGUMENT', 'The URL of the database is not one of PostgreSQL', {
      advice: 'Write it as postgres://user:password@host:port/database.',
    });
  return {
    connectionString: url,
    application_name: 'model-guard-server',
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    types: { getTypeParser },
  };
}

const SETTINGS = {
  // An answer that was sent is on the disk, whatever the database's default is.
  synchronous_commit: 'on',
  idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
  lock_timeout: LOCK_MS,
  statement_timeout: STATEMENT_MS,
};

/** Settings of a connection that was made: as words of its beginning, poolers would refuse them. */
export async function set(client: pg.ClientBase, settings: Readonly<Record<string, string | number>>): Promise<void> {
  await client.query(
    Object.entries(settings)
      .map(([name, value]) => `set ${name} = ${value}`)
      .join('; '),
  );
}

/** A pool that fails with errors of `failures.ts`. */
export function makePool(url: string): PostgresPool {
  const pools: Pools = { transactions: poolOf(url, MOST_TRANSACTIONS), queries: poolOf(url, MOST_QUERIES) };
  return {
    connect: async () => borrowed(pools),
    end: async () => {
      await Promise.all([pools.transactions.end(), pools.queries.end()]);
    },
  };
}

function poolOf(url: string, max: number): pg.Pool {
  const pool = new pg.Pool({
    ...connectionTo(url),
    max,
    query_timeout: ANSWER_MS,
    // The pool waits for it.
    onConnect: (client) => set(client, SETTINGS),
  });
  // A connection that ends while nobody uses it is replaced; while somebody does, the query says so.
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));
  return pool;
}

const ignore = (): void => undefined;

/** Numbers stay below 2^53: sizes, times, counts. */
const INT8 = 20;
const getTypeParser: typeof pg.types.getTypeParser = ((oid: number, format?: 'text') =>
  oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser;
