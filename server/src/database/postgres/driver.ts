/** Runs transactions at PostgreSQL one at a time, as SQLite does (docs/decisions/0013-one-writer-at-a-time.md). */
import { CompiledQuery, type DatabaseConnection, Kysely, PostgresDialect, PostgresDriver, type PostgresPool } from 'kysely';
import type { Database } from '../connection.js';
import type { Schema } from '../schema.js';
import { makePool } from './pool.js';

/** Advisory lock of all replicas at this database. Any number that no other program there uses. */
export const WRITER = '5279129103147025921';
/** After the lock every statement sees all earlier commits, whatever isolation is the database's default. */
const BEGIN = `begin isolation level read committed; select pg_advisory_xact_lock(${WRITER})`;

class OneWriterDriver extends PostgresDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await connection.executeQuery(CompiledQuery.raw(BEGIN));
    } catch (error) {
      // The transaction has begun even where only the lock failed.
      await this.rollbackTransaction(connection);
      throw error;
    }
  }

  /** It fails only with the connection, whose first error is the better reason. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    await super.rollbackTransaction(connection).catch(() => undefined);
  }
}

class OneWriterDialect extends PostgresDialect {
  readonly #pool: PostgresPool;
  constructor(pool: PostgresPool) {
    super({ pool });
    this.#pool = pool;
  }
  override createDriver(): PostgresDriver {
    return new OneWriterDriver({ pool: this.#pool });
  }
}

/** Opens no connection yet. INVALID_ARGUMENT for a URL that is not one of PostgreSQL */
export const openPostgres = (url: string): Database => new Kysely<Schema>({ dialect: new OneWriterDialect(makePool(url)) });
