/** Errors of PostgreSQL without the values of the query: a refused row may hold anything, and errors are logged. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import { DatabaseError } from 'pg';
import { DatabaseUnavailable } from '../unavailable.js';

/** Classes of SQLSTATE: connection, resources, operator's intervention, system. */
const AWAY_CLASSES: ReadonlySet<string> = new Set(['08', '53', '57', '58']);
/**
 * SQLSTATE of serialisation failure, deadlock, lock time-out, idle transaction time-out, and of a read-only server after a
 * failover.
 */
const AWAY: ReadonlySet<string> = new Set(['40001', '40P01', '55P03', '25P03', '25006']);
/** SQLSTATE of a query that took too long. */
const TOO_LONG = '57014';
/** SQLSTATE of a text with U+0000, which PostgreSQL cannot store. */
const NOT_TEXT = '22021';

/** The error of a query that the database refused: a fault of the code. */
class QueryRefused extends Error {
  override readonly name = 'QueryRefused';
  readonly code: string | undefined;
  readonly table: string | undefined;
  readonly constraint: string | undefined;

  /** Without `detail` and `where`, which would show the row. */
  constructor({ message, code, table, constraint }: DatabaseError) {
    super(message);
    this.code = code;
    this.table = table;
    this.constraint = constraint;
  }
}

/** Whether the connection cannot be used any more. */
export const endsConnection = (error: unknown): boolean =>
  !(error instanceof DatabaseError) || error.severity === 'FATAL' || error.severity === 'PANIC';

/** No connection could be made. */
export const notConnected = (error: unknown): DatabaseUnavailable =>
  new DatabaseUnavailable(`The database cannot be reached: ${reason(error)}`, true);

/** The error to throw in place of the driver's. `committing`: the query was to commit itself or the transaction. */
export function failureOf(error: unknown, committing: boolean): Error {
  const code = error instanceof DatabaseError ? (error.code ?? '') : '';
  if (code === NOT_TEXT) return new ModelGuardError('INVALID_ARGUMENT', 'A text holds U+0000, which no text may');
  if (code === TOO_LONG) return new DatabaseUnavailable(`The database takes too long: ${reason(error)}`, false);
  if (endsConnection(error) || AWAY.has(code) || AWAY_CLASSES.has(code.slice(0, 2)))
    return new DatabaseUnavailable(`The database does not answer: ${reason(error)}`, !(committing && endsConnection(error)));
  return new QueryRefused(error as DatabaseError);
}

/** The code and its line; never more than one line of the driver's message. */
function reason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === undefined ? message : `${message} (${code})`;
}
