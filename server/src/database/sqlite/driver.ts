/** How SQLite is talked to: what is asked again and again is compiled once, and transactions hold from their beginning. */
import type Sqlite from 'better-sqlite3';
import {
  CompiledQuery,
  type DatabaseConnection,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
} from 'kysely';

/** The queries of every route are fewer; those with lists of many lengths must not pile up. */
const KEPT_STATEMENTS = 256;

/** Keeps what was compiled, the newest in use last. */
class CompiledOnce implements SqliteDatabase {
  readonly #database: Sqlite.Database;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(database: Sqlite.Database) {
    this.#database = database;
  }

  prepare(sql: string): SqliteStatement {
    const statement = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.delete(sql);
    this.#statements.set(sql, statement);
    if (this.#statements.size > KEPT_STATEMENTS) {
      const [oldest = ''] = this.#statements.keys();
      this.#statements.delete(oldest);
    }
    return statement;
  }

  close(): void {
    this.#statements.clear();
    this.#database.close();
  }
}

/** Transactions take the write lock when they begin: what they read is still so when they write, in other processes too. */
class ImmediateDriver extends SqliteDriver {
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }
}

/** SQLite rolls back table definitions like anything else; Kysely does not count on it. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

export class DurableDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;
  constructor(file: Sqlite.Database) {
    const database = new CompiledOnce(file);
    super({ database });
    this.#database = database;
  }
  override createDriver(): SqliteDriver {
    return new ImmediateDriver({ database: this.#database });
  }
  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}
