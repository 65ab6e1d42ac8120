/** The seam to the drivers of SQLite: values, rows and errors have one shape, whichever driver runs (docs/decisions/0030). */
import type { SqliteDatabase, SqliteStatement } from 'kysely';

/** An open database file. */
export interface SqliteFile extends SqliteDatabase {
  /** Whether a transaction has begun and not ended. SQLite ends one by itself where the disk is full or fails. */
  readonly inTransaction: boolean;
  /** Runs statements whose rows are not needed. */
  exec(sql: string): void;
}

export interface OpenOptions {
  /** Milliseconds for another connection to release the file; 0 waits not at all. */
  readonly busyMs: number;
  /** Fails with SQLITE_CANTOPEN where there is no such file. Default: false, which makes it. */
  readonly mustExist?: boolean;
}

export interface SqliteDriver {
  readonly name: 'better-sqlite3' | 'node:sqlite';
  /**
   * @param path a file, never a URI of SQLite
   * @throws SqliteError
   */
  open(path: string, options: OpenOptions): SqliteFile;
}

/** An error that SQLite reports. */
export class SqliteError extends Error {
  override readonly name = 'SqliteError';
  /** SQLite's name of the extended code, such as SQLITE_FULL or SQLITE_CONSTRAINT_UNIQUE (https://sqlite.org/rescode.html). */
  readonly code: string;

  constructor(message: string, code: string, cause: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

/** A driver's own file. */
export interface DriverFile {
  readonly inTransaction: boolean;
  prepare(sql: string): SqliteStatement;
  exec(sql: string): unknown;
  close(): unknown;
}

/** Gives a driver's own file the shape that is common to both: see {@link bind}, {@link readRow} and `translate`. */
export class CommonFile implements SqliteFile {
  readonly #file: DriverFile;
  readonly #attempt: Attempt;

  /** @param translate Makes a {@link SqliteError} of a driver's error; other errors are returned unchanged. */
  constructor(file: DriverFile, translate: Translate) {
    this.#file = file;
    this.#attempt = attemptWith(translate);
  }

  get inTransaction(): boolean {
    return this.#file.inTransaction;
  }

  exec(sql: string): void {
    this.#attempt(() => this.#file.exec(sql));
  }

  close(): void {
    this.#attempt(() => this.#file.close());
  }

  prepare(sql: string): SqliteStatement {
    const attempt = this.#attempt;
    const statement = attempt(() => this.#file.prepare(sql));
    return {
      reader: statement.reader,
      all: (parameters) => attempt(() => statement.all(parameters.map(bind))).map(readRow),
      run: (parameters) => attempt(() => statement.run(parameters.map(bind))),
      *iterate(parameters) {
        const rows = attempt(() => statement.iterate(parameters.map(bind)));
        try {
          for (let next = attempt(() => rows.next()); !next.done; next = attempt(() => rows.next())) yield readRow(next.value);
        } finally {
          rows.return?.();
        }
      },
    };
  }
}

export type Translate = (error: unknown) => unknown;
type Attempt = <Result>(task: () => Result) => Result;

/** Runs a task of a driver, and throws its errors translated. */
export const attemptWith =
  (translate: Translate): Attempt =>
  (task) => {
    try {
      return task();
    } catch (error) {
      throw translate(error);
    }
  };

/** Absent is NULL. A driver would take a boolean for a number, and an object for named parameters. */
function bind(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string' || ArrayBuffer.isView(value))
    return value;
  throw new TypeError(`a parameter of SQL is a number, a big integer, a text, bytes or null, and no ${typeof value}`);
}

/** Bytes are buffers. A number that JavaScript cannot hold exactly is refused rather than rounded. */
function readRow(row: unknown): Record<string, unknown> {
  const read: Record<string, unknown> = {};
  for (const [column, value] of Object.entries(row as object)) {
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw new NumberTooLarge();
    const bytes = value instanceof Uint8Array && !Buffer.isBuffer(value);
    read[column] = bytes ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : value;
  }
  return read;
}

/** A column holds a whole number at or beyond 2^53, which the tables do not allow (`dialect.ts`). */
export class NumberTooLarge extends RangeError {
  constructor() {
    super('a whole number of the database is too large for JavaScript (2^53 or more)');
  }
}
