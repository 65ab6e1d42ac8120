/** How SQLite is talked to: who waits longest is served first, and what is asked again and again is compiled once. */
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

class OrderlyDriver extends SqliteDriver {
  readonly #waiting: (() => void)[] = [];
  #taken = false;

  /** In order: the driver's own lock wakes everybody who waits, and lets those who come just then pass them all. */
  override async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#taken) await new Promise<void>((go) => this.#waiting.push(go));
    this.#taken = true;
    return super.acquireConnection();
  }

  override async releaseConnection(): Promise<void> {
    await super.releaseConnection();
    const next = this.#waiting.shift();
    // It is handed over rather than let go, so that nobody who comes later is faster.
    if (next) next();
    else this.#taken = false;
  }

  /** Transactions take the write lock when they begin: what they read is still so when they write, in other processes too. */
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
    return new OrderlyDriver({ database: this.#database });
  }
  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}
