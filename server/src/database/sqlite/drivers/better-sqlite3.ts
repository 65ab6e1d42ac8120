/** The driver better-sqlite3: a package with an addon, which its install downloads or compiles. */
import { resolve } from 'node:path';
import { attemptWith, CommonFile, type SqliteDriver, SqliteError } from './driver.js';

/** @throws Error whose message completes a sentence, where the package or its addon is not there */
export async function loadBetterSqlite3(): Promise<SqliteDriver> {
  const { default: Sqlite } = await import('better-sqlite3').catch((cause: unknown) => {
    throw new Error('better-sqlite3 is not installed', { cause });
  });
  try {
    // The addon is loaded by the first file that is opened.
    new Sqlite(':memory:').close();
  } catch (cause) {
    throw new Error(`better-sqlite3 is installed without an addon for Node ${process.versions.node}`, { cause });
  }
  const translate = (error: unknown): unknown =>
    error instanceof Sqlite.SqliteError ? new SqliteError(error.message, error.code, error) : error;
  const attempt = attemptWith(translate);
  return {
    name: 'better-sqlite3',
    open: (path, { busyMs, mustExist = false }) =>
      new CommonFile(
        // Absolute: SQLite takes a path that begins with `file:` for a URI.
        attempt(() => new Sqlite(resolve(path), { timeout: busyMs, fileMustExist: mustExist })),
        translate,
      ),
  };
}
