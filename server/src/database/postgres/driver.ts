/** How PostgreSQL is talked to: one transaction at a time, as SQLite has it (docs/decisions/0013-one-writer-at-a-time.md). */
import { CompiledQuery, type DatabaseConnection, Kysely, PostgresDialect, PostgresDriver, type PostgresPool } from 'kysely';
import type { Database } from '../../context.js';
import type { Schema } from '../schema.js';
import { makePool } from './pool.js';

/** Of all replicas at this database; any number that nobody else there uses. */
export const WRITER = '5279129103147025921';
/** After the lock every statement sees what the writers before have committed, whatever the database's default is. */
const BEGIN = `begin isolation level read committed; select pg_advisory_xact_lock(${WRITER})`;

class OneWriterDriver extends PostgresDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await connection.executeQuery(CompiledQuery.raw(BEGIN));
    } catch (error) {
      // It has begun where the lock alone failed.
      await this.rollbackTransaction(connection);
      throw error;
    }
  }

  /** Fails only with the connection, and that has failed with a better reason before. */
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

/** Opens nothing yet. INVALID_ARGUMENT for a URL that is none of PostgreSQL */
export const openPostgres = (url: string): Database => new Kysely<Schema>({ dialect: new OneWriterDialect(makePool(url)) });
