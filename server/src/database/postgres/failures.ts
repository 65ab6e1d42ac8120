/** What went wrong at PostgreSQL, told without what was in the query: a refused row may hold anything, and errors are logged. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import { DatabaseError } from 'pg';
import { DatabaseAway } from '../away.js';

/** Classes of SQLSTATE: connection, resources, operator's intervention, system. */
const AWAY_CLASSES: ReadonlySet<string> = new Set(['08', '53', '57', '58']);
/** Serialisation, deadlock, no lock in time, too long in a transaction; a server that only reads, since another one took its place. */
const AWAY: ReadonlySet<string> = new Set(['40001', '40P01', '55P03', '25P03', '25006']);
/** The query took longer than a query may. */
const TOO_LONG = '57014';
/** Text with U+0000, which PostgreSQL does not keep. */
const NOT_TEXT = '22021';

/** A query that the database refused: a fault of the code. */
class QueryRefused extends Error {
  override readonly name = 'QueryRefused';
  readonly code: string | undefined;
  readonly table: string | undefined;
  readonly constraint: string | undefined;

  /** `detail` and `where` would show the row. */
  constructor({ message, code, table, constraint }: DatabaseError) {
    super(message);
    this.code = code;
    this.table = table;
    this.constraint = constraint;
  }
}

/** Whether the connection is of no use any more. */
export const endsConnection = (error: unknown): boolean =>
  !(error instanceof DatabaseError) || error.severity === 'FATAL' || error.severity === 'PANIC';

/** No connection could be made. */
export const notConnected = (error: unknown): DatabaseAway =>
  new DatabaseAway(`The database cannot be reached: ${reason(error)}`, true);

/** What is thrown in the place of an error of the driver; `committing`: the query was to commit, alone or what came before it. */
export function failureOf(error: unknown, committing: boolean): Error {
  const code = error instanceof DatabaseError ? (error.code ?? '') : '';
  if (code === NOT_TEXT) return new ModelGuardError('INVALID_ARGUMENT', 'A text holds U+0000, which no text may');
  if (code === TOO_LONG) return new DatabaseAway(`The database takes too long: ${reason(error)}`, false);
  if (endsConnection(error) || AWAY.has(code) || AWAY_CLASSES.has(code.slice(0, 2)))
    return new DatabaseAway(`The database does not answer: ${reason(error)}`, !(committing && endsConnection(error)));
  return new QueryRefused(error as DatabaseError);
}

/** The code, and what belongs to it; never more than the driver says in a line. */
function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined ? message : `${message} (${code})`;
}
