/** Connections to PostgreSQL: few, each bounded in time, and given up as soon as one fails. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { PostgresPool } from 'kysely';
import pg from 'pg';
import { borrowed, type Pools } from './pooled-connection.js';

/** More than one, so that the next transaction waits at the lock already, and a connection that hangs does not stop the rest. */
const MOST_TRANSACTIONS = 3;
const MOST_QUERIES = 7;
/** A replica that hangs within a transaction loses it after this time: other replicas wait for its lock. */
const IDLE_IN_TRANSACTION_MS = 5000;
/** Longer than that, so that waiting transactions survive one that hangs. */
const LOCK_MS = 10_000;
const STATEMENT_MS = 15_000;
/** Longer than the database takes to give up: after this the network is the cause. */
const ANSWER_MS = 20_000;
/** For a connection, also a free one of the pool. */
const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 10_000;

/**
 * The options of every connection.
 * @throws INVALID_ARGUMENT for a URL that is not one of PostgreSQL; the message does not hold it, since it holds a password
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
  // An acknowledged commit is on the disk, whatever the database's default is.
  synchronous_commit: 'on',
  idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
  lock_timeout: LOCK_MS,
  statement_timeout: STATEMENT_MS,
};

/** Applies settings after connecting: poolers refuse them in the connection's options. */
export async function set(client: pg.ClientBase, settings: Readonly<Record<string, string | number>>): Promise<void> {
  await client.query(
    Object.entries(settings)
      .map(([name, value]) => `set ${name} = ${value}`)
      .join('; '),
  );
}

/** A pool whose errors are those of `failures.ts`. */
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
  // An idle connection that ends is replaced; one in use reports the end through its query.
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));
  return pool;
}

const ignore = (): void => undefined;

/** Numbers stay below 2^53: sizes, times, counts. */
const INT8 = 20;
const getTypeParser: typeof pg.types.getTypeParser = ((oid: number, format?: 'text') =>
  oid === INT8 ? Number : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser;
