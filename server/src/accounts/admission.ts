/**
 * Decides whether a password is checked at all. Failures from a network lock that network. After many failures from many
 * networks, networks that the account has not logged in from take turns. Failures elsewhere never slow a network that the account
 * has logged in from.
 */
import type { Transaction } from 'kysely';
import type { Connection } from '../database/connection.js';
import type { Schema } from '../database/schema.js';
import { forgetNetworks, forgetUnusedNetworks, isKnown, rememberNetwork } from './known-networks.js';
import type { Attempt } from './login-attempt.js';
import { countFailure, forgetFailures, forgiveAll, forgiveNetwork, lockLeft } from './login-failures.js';
import { clearQueue, forgetTurns, isTurn, leaveQueue, spendTurn, waitForTurn } from './login-queue.js';

/** Whether an attempt is allowed now. Changes nothing, except that it shortens a lock that a wrong clock has made too long. */
export async function isAdmitted(connection: Connection, attempt: Attempt, now: number): Promise<boolean> {
  if ((await lockLeft(connection, attempt, now)) > 0) return false;
  return (await isKnown(connection, attempt, now)) || (await isTurn(connection, attempt, now));
}

/** Seconds until an attempt is allowed; 0 for now. Gives the attempt a turn where it needs one. */
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
  await leaveQueue(trx, attempt);
  await rememberNetwork(trx, attempt, now);
}

/** Deletes everything that is stored about log-ins at an address, when its account is erased or gets a new password. */
export async function forgetAttempts(trx: Transaction<Schema>, index: Buffer): Promise<void> {
  await forgiveAll(trx, index);
  await clearQueue(trx, index);
  await forgetNetworks(trx, index);
}

/** The tables that {@link forgetAttempts} deletes from. */
export const ATTEMPT_TABLES = ['login_failures', 'login_turns', 'known_networks'] as const;

/** Deletes failures, turns and networks that have expired. */
export async function forgetOldAttempts(connection: Connection, now: number): Promise<void> {
  await forgetFailures(connection, now);
  await forgetTurns(connection, now);
  await forgetUnusedNetworks(connection, now);
}
