/**
 * Whether a password is looked at. A network is locked by its own failures. Beyond that, failures from many networks slow all those that
 * the account has not logged in from. Failures elsewhere never slow a network that it has logged in from.
 */
import type { Transaction } from 'kysely';
import type { Connection } from '../context.js';
import type { Schema } from '../database/schema.js';
import type { Attempt } from './attempt.js';
import { countFailure, forgetFailures, forgiveAll, forgiveNetwork, lockLeft } from './failures.js';
import { forgetNetworks, forgetUnusedNetworks, isKnown, rememberNetwork } from './known-networks.js';
import { clearLine, forgetTurns, isTurn, leaveLine, spendTurn, waitForTurn } from './turns.js';

/** Whether an attempt is allowed now; it changes nothing but a lock that no rule gives. */
export async function isAdmitted(connection: Connection, attempt: Attempt, now: number): Promise<boolean> {
  if ((await lockLeft(connection, attempt, now)) > 0) return false;
  return (await isKnown(connection, attempt, now)) || (await isTurn(connection, attempt, now));
}

/** Seconds until an attempt is allowed, 0 for now. Gives it a turn where it must wait for one. */
export async function waitOf(trx: Transaction<Schema>, attempt: Attempt, now: number): Promise<number> {
  const locked = await lockLeft(trx, attempt, now);
  if (locked > 0) return locked;
  return (await isKnown(trx, attempt, now)) ? 0 : await waitForTurn(trx, attempt, now);
}

export async function noteFailure(trx: Transaction<Schema>, attempt: Attempt, now: number): Promise<void> {
  await forgetTurns(trx, now);
  if (!(await isKnown(trx, attempt, now))) await spendTurn(trx, attempt, now);
  await countFailure(trx, attempt, now);
}

export async function noteSuccess(trx: Transaction<Schema>, attempt: Attempt, now: number): Promise<void> {
  await forgiveNetwork(trx, attempt);
  await leaveLine(trx, attempt);
  await rememberNetwork(trx, attempt, now);
}

/** Deletes everything that is kept about log-ins at an address, when its account is erased or an administrator sets its password. */
export async function forgetAttempts(trx: Transaction<Schema>, index: Buffer): Promise<void> {
  await forgiveAll(trx, index);
  await clearLine(trx, index);
  await forgetNetworks(trx, index);
}

/** The tables that {@link forgetAttempts} deletes from. */
export const ATTEMPT_TABLES = ['login_failures', 'login_turns', 'known_networks'] as const;

/** Deletes failures, turns and networks whose time is over. */
export async function forgetOldAttempts(connection: Connection, now: number): Promise<void> {
  await forgetFailures(connection, now);
  await forgetTurns(connection, now);
  await forgetUnusedNetworks(connection, now);
}
