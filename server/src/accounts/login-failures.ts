/** Counts failed log-ins by e-mail address and network. Unknown addresses are counted like known ones. */
import type { Transaction } from 'kysely';
import type { Connection } from '../database/connection.js';
import type { Schema } from '../database/schema.js';
import type { Attempt } from './login-attempt.js';

const FREE_FAILURES = 5;
const FIRST_LOCK = 30;
const LONGEST_LOCK = 900;
/** After a day without a failure the count of a network starts again. */
const FORGOTTEN = 86_400;

/** Seconds for which a network is locked after this number of failures. */
export const lockSeconds = (failures: number): number =>
  failures < FREE_FAILURES ? 0 : Math.min(FIRST_LOCK * 2 ** Math.min(failures - FREE_FAILURES, 10), LONGEST_LOCK);

const rowOf = (connection: Connection, { index, network }: Attempt) =>
  connection.selectFrom('login_failures').selectAll().where('email_index', '=', index).where('network', '=', network);

/** Seconds for which this attempt is still locked; 0 where it is not. */
export async function lockLeft(connection: Connection, attempt: Attempt, now: number): Promise<number> {
  const row = await rowOf(connection, attempt).executeTakeFirst();
  const left = Math.max(0, (row?.locked_until ?? 0) - now);
  if (row === undefined || left <= LONGEST_LOCK) return left;
  // The clock was ahead when this was written. Store the longest lock from now on, so that the lock ends.
  await connection
    .updateTable('login_failures')
    .set({ first: Math.min(row.first, now), last: now, locked_until: now + LONGEST_LOCK })
    .where('email_index', '=', attempt.index)
    .where('network', '=', attempt.network)
    .where('locked_until', '=', row.locked_until)
    .execute();
  return LONGEST_LOCK;
}

export async function countFailure(trx: Transaction<Schema>, attempt: Attempt, at: number): Promise<void> {
  await forgetFailures(trx, at);
  const before = await rowOf(trx, attempt).executeTakeFirst();
  const failures = (before?.failures ?? 0) + 1;
  const seconds = lockSeconds(failures);
  const first = Math.min(before?.first ?? at, at);
  // 0 rather than `at`: a process whose clock is behind would take `at` for a lock.
  const row = { failures, first, last: at, locked_until: seconds === 0 ? 0 : at + seconds };
  await trx
    .insertInto('login_failures')
    .values({ email_index: attempt.index, network: attempt.network, ...row })
    .onConflict((conflict) => conflict.columns(['email_index', 'network']).doUpdateSet(row))
    .execute();
}

/** Deletes the failures of a network after a log-in from it. Failures elsewhere still count. */
export const forgiveNetwork = (trx: Transaction<Schema>, { index, network }: Attempt) =>
  trx.deleteFrom('login_failures').where('email_index', '=', index).where('network', '=', network).execute();

/** Deletes all failures of an address. */
export const forgiveAll = (trx: Transaction<Schema>, index: Buffer) =>
  trx.deleteFrom('login_failures').where('email_index', '=', index).execute();

/** Deletes failures that are older than a day. */
export const forgetFailures = (connection: Connection, now: number) =>
  connection
    .deleteFrom('login_failures')
    .where('last', '<', now - FORGOTTEN)
    .execute();
