/** Failures of SQLite that the request did not cause: a full or failing disk, another process that holds the file. */
import { DatabaseUnavailable } from '../unavailable.js';
import { SqliteError } from './drivers/driver.js';

interface FailureMeaning {
  readonly message: string;
  /** Nothing was written, and a second try may soon succeed. */
  readonly undone: boolean;
}
const MEANINGS: Readonly<Record<string, FailureMeaning>> = {
  SQLITE_FULL: { message: 'The disk of the database is full', undone: false },
  SQLITE_BUSY: { message: 'Another process holds the database file', undone: true },
  SQLITE_IOERR: { message: 'The disk of the database fails', undone: false },
  SQLITE_READONLY: { message: 'The database file cannot be written', undone: false },
  SQLITE_CANTOPEN: { message: 'The database file, or its log beside it, cannot be opened', undone: false },
};

/** The error to throw in place of the driver's; constraint errors and faults of the code stay as they are. */
export function failureOf(error: unknown): unknown {
  if (!(error instanceof SqliteError)) return error;
  const kind = Object.keys(MEANINGS).find((code) => error.code === code || error.code.startsWith(`${code}_`));
  const meaning = kind === undefined ? undefined : MEANINGS[kind];
  return meaning ? new DatabaseUnavailable(`${meaning.message}: ${error.message} (${error.code})`, meaning.undone) : error;
}

/** Whether the file is not a database, or a damaged one. */
export const isDamaged = (error: unknown): boolean => error instanceof SqliteError && /^SQLITE_(NOTADB|CORRUPT)/.test(error.code);
