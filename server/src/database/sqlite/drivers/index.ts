/** Chooses the driver of SQLite, where the database is a file: a server on PostgreSQL needs none. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import { loadBetterSqlite3 } from './better-sqlite3.js';
import type { SqliteDriver } from './driver.js';
import { loadNodeSqlite } from './node-sqlite.js';

/** Rejects with the reason, as the part of a sentence, where its driver is not there. */
export type LoadDriver = () => Promise<SqliteDriver>;

/**
 * Loads the first driver that is there.
 * @throws NATIVE_UNAVAILABLE where none is
 */
export async function chooseDriver(loaders: readonly LoadDriver[]): Promise<SqliteDriver> {
  const reasons: Error[] = [];
  for (const load of loaders)
    try {
      return await load();
    } catch (reason) {
      reasons.push(reason as Error);
    }
  const found = reasons.map(({ message }) => message).join(', and ');
  throw new ModelGuardError('NATIVE_UNAVAILABLE', `There is no driver for the database file: ${found}`, {
    cause: new AggregateError(reasons),
    advice:
      'Run the server with Node 24 or newer; or install better-sqlite3, which takes a C++ compiler, make and Python 3 where its binary cannot be downloaded; or give a database of PostgreSQL (DATABASE_URL).',
  });
}

let chosen: Promise<SqliteDriver> | undefined;

/**
 * The driver of this process. better-sqlite3 comes first: it is the same SQLite in every version of Node.
 * @throws NATIVE_UNAVAILABLE
 */
export const sqliteDriver: LoadDriver = () => {
  chosen ??= chooseDriver([loadBetterSqlite3, loadNodeSqlite]);
  return chosen;
};
