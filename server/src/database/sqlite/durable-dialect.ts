/** Runs queries at SQLite: compiles repeated statements once, and takes the write lock at the begin of a transaction. */
import {
  CompiledQuery,
  type DatabaseConnection,
  type QueryResult,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
} from 'kysely';
import type { SqliteFile } from './drivers/driver.js';
import { failureOf } from './failures.js';

/** The queries of all routes are fewer; lists of many lengths must not accumulate. */
const KEPT_STATEMENTS = 256;

/** Caches compiled statements, the most recently used last. */
class CompiledOnce implements SqliteDatabase {
  readonly #database: SqliteFile;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(database: SqliteFile) {
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

/** Throws the errors of `failures.ts`. */
class ExplainingConnection implements DatabaseConnection {
  readonly #connection: DatabaseConnection;

  constructor(connection: DatabaseConnection) {
    this.#connection = connection;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    try {
      return await this.#connection.executeQuery<Row>(query);
    } catch (error) {
      throw failureOf(error);
    }
  }

  streamQuery<Row>(query: CompiledQuery, chunkSize: number): AsyncIterableIterator<QueryResult<Row>> {
    return this.#connection.streamQuery<Row>(query, chunkSize);
  }
}

/** Transactions take the write lock when they begin, so that their reads are still true when they write, across processes too. */
class ImmediateDriver extends SqliteDriver {
  readonly #file: SqliteFile;
  #explaining: DatabaseConnection | undefined;

  constructor(database: SqliteDatabase, file: SqliteFile) {
    super({ database });
    this.#file = file;
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    const connection = await super.acquireConnection();
    this.#explaining ??= new ExplainingConnection(connection);
    return this.#explaining;
  }

  /** SQLite has rolled back by itself where the disk is full or fails. The first error is the reason, and is kept. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#file.inTransaction) await super.rollbackTransaction(connection).catch(() => undefined);
  }

  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }
}

/** SQLite rolls back table definitions too, which Kysely does not assume. */
class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

export class DurableDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;
  readonly #file: SqliteFile;
  constructor(file: SqliteFile) {
    const database = new CompiledOnce(file);
    super({ database });
    this.#database = database;
    this.#file = file;
  }
  override createDriver(): SqliteDriver {
    return new ImmediateDriver(this.#database, this.#file);
  }
  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}
