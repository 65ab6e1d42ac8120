/** The driver node:sqlite, which is part of Node. */
import { pathToFileURL } from 'node:url';
import type { SqliteStatement } from 'kysely';
import { attemptWith, CommonFile, type DriverFile, NumberTooLarge, type SqliteDriver, SqliteError } from './driver.js';
import { errorCodeOf } from './error-codes.js';

/** Node 22 has the module too, with a warning that it is experimental; it is not tested there. */
const FIRST_NODE = 24;

/** The used part of the module: its types come with those of Node 22. */
interface NodeSqlite {
  readonly DatabaseSync: new (path: string | URL, options: { readonly timeout: number }) => DatabaseSync;
}
interface DatabaseSync {
  readonly isTransaction: boolean;
  prepare(sql: string): StatementSync;
  exec(sql: string): void;
  close(): void;
}
interface StatementSync {
  columns(): readonly object[];
  all(...parameters: readonly unknown[]): unknown[];
  run(...parameters: readonly unknown[]): ReturnType<SqliteStatement['run']>;
  iterate(...parameters: readonly unknown[]): IterableIterator<unknown>;
}

/** @throws Error whose message completes a sentence, where this Node has no such module */
export async function loadNodeSqlite(): Promise<SqliteDriver> {
  const { node } = process.versions;
  const module = Number.parseInt(node, 10) >= FIRST_NODE ? withoutItsWarning(findModule) : undefined;
  if (!module) throw new Error(`Node ${node} brings no driver that the server takes`);
  const { DatabaseSync } = module;
  return {
    name: 'node:sqlite',
    open: (path, { busyMs, mustExist = false }) => {
      const url = pathToFileURL(path);
      if (mustExist) url.searchParams.set('mode', 'rw');
      return new CommonFile(adapt(attempt(() => new DatabaseSync(url, { timeout: busyMs }))), translate);
    },
  };
}

/** Not imported: bundlers know no module that a Node of the build machine may lack. */
const findModule = (): NodeSqlite | undefined => process.getBuiltinModule('node:sqlite') as NodeSqlite | undefined;

/** Early versions of Node 24 warn when the module is loaded that it is an experiment. Other warnings pass. */
function withoutItsWarning<Result>(load: () => Result): Result {
  const { emitWarning } = process;
  process.emitWarning = ((warning: string | Error, ...more: never[]) => {
    if (!String(warning).startsWith('SQLite is an experimental feature')) emitWarning.call(process, warning, ...more);
  }) as typeof emitWarning;
  try {
    return load();
  } finally {
    process.emitWarning = emitWarning;
  }
}

const adapt = (database: DatabaseSync): DriverFile => ({
  get inTransaction() {
    return database.isTransaction;
  },
  prepare: (sql) => {
    const statement = database.prepare(sql);
    return {
      reader: statement.columns().length > 0,
      all: (parameters) => statement.all(...parameters),
      run: (parameters) => statement.run(...parameters),
      iterate: (parameters) => statement.iterate(...parameters),
    };
  },
  exec: (sql) => database.exec(sql),
  close: () => database.close(),
});

interface NodeSqliteError extends Error {
  readonly code: string;
  /** SQLite's extended code. */
  readonly errcode: number;
}

function translate(error: unknown): unknown {
  const { code, errcode, message } = error as NodeSqliteError;
  if (code === 'ERR_SQLITE_ERROR') return new SqliteError(message, errorCodeOf(errcode), error);
  return code === 'ERR_OUT_OF_RANGE' ? new NumberTooLarge() : error;
}
const attempt = attemptWith(translate);
