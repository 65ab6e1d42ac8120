/** Failures of SQLite that are not the request's fault: a full or failing disk, another process that holds the file. */
import Sqlite from 'better-sqlite3';
import { DatabaseAway } from '../away.js';

interface Meaning {
  readonly says: string;
  /** Nothing was written, and a second try may soon succeed. */
  readonly undone: boolean;
}
const MEANINGS: Readonly<Record<string, Meaning>> = {
  SQLITE_FULL: { says: 'The disk of the database is full', undone: false },
  SQLITE_BUSY: { says: 'Another process holds the database file', undone: true },
  SQLITE_IOERR: { says: 'The disk of the database fails', undone: false },
  SQLITE_READONLY: { says: 'The database file cannot be written', undone: false },
  SQLITE_CANTOPEN: { says: 'The database file, or its log beside it, cannot be opened', undone: false },
};

/** The error to throw in place of the driver's; constraint errors and faults of the code stay as they are. */
export function failureOf(error: unknown): unknown {
  if (!(error instanceof Sqlite.SqliteError)) return error;
  const kind = Object.keys(MEANINGS).find((code) => error.code === code || error.code.startsWith(`${code}_`));
  const meaning = kind === undefined ? undefined : MEANINGS[kind];
  return meaning ? new DatabaseAway(`${meaning.says}: ${error.message} (${error.code})`, meaning.undone) : error;
}

/** Whether the file is no database, or a damaged one. */
export const isDamaged = (error: unknown): boolean =>
  error instanceof Sqlite.SqliteError && /^SQLITE_(NOTADB|CORRUPT)/.test(error.code);
