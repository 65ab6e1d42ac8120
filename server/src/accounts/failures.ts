/**
 * Failed log-ins, counted for an address of e-mail from one network: whoever guesses from elsewhere locks nobody out at home. A high
 * bound over all networks slows down those who have many. Whether the address is known makes no difference.
 */
import type { FieldCipher } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Connection } from '../context.js';
import type { Schema } from '../database/schema.js';

const FREE_FAILURES = 5;
const FIRST_LOCK = 30;
const LONGEST_LOCK = 900;
/** After a day without a failure the count of a network begins anew. */
const FORGOTTEN = 86_400;

/** Failures from everywhere within a time, and how long nobody gets in after each one more. */
const MOST_FAILURES = 100;
const WITHIN = 900;
const COMMON_LOCK = 60;
const EVERYWHERE = Buffer.alloc(0);

/** Who is tried from where; both are HMACs. */
export interface Attempt {
  readonly index: Buffer;
  readonly network: Buffer;
}

/** @param index HMAC of the address. The network is personal, too: what is kept tells it to nobody without the key. */
export const attemptOf = (fields: FieldCipher, index: Uint8Array, network: string): Attempt => ({
  index: Buffer.from(index),
  // No address holds a space: this is the HMAC of none.
  network: Buffer.from(fields.emailIndex(`${Buffer.from(index).toString('hex')} ${network}`)),
});

/** How long a network is locked after so many failures. */
export const lockSeconds = (failures: number): number =>
  failures < FREE_FAILURES ? 0 : Math.min(FIRST_LOCK * 2 ** Math.min(failures - FREE_FAILURES, 10), LONGEST_LOCK);

const commonLock = (failures: number): number => (failures < MOST_FAILURES ? 0 : COMMON_LOCK);

/** Until when this attempt is locked. */
export async function lockedUntil(connection: Connection, { index, network }: Attempt): Promise<number> {
  const rows = await connection
    .selectFrom('login_failures')
    .select('locked_until')
    .where('email_index', '=', index)
    .where('network', 'in', [network, EVERYWHERE])
    .execute();
  return Math.max(0, ...rows.map(({ locked_until }) => locked_until));
}

export async function countFailure(trx: Transaction<Schema>, { index, network }: Attempt, at: number): Promise<void> {
  await forgetFailures(trx, at);
  await count(trx, { index, network }, at, 0, lockSeconds);
  await count(trx, { index, network: EVERYWHERE }, at, at - WITHIN, commonLock);
}

/** Adds to the count, or begins it anew where it began before `since`. */
async function count(
  trx: Transaction<Schema>,
  { index, network }: Attempt,
  at: number,
  since: number,
  lock: (failures: number) => number,
): Promise<void> {
  const before = await trx
    .selectFrom('login_failures')
    .select(['failures', 'first'])
    .where('email_index', '=', index)
    .where('network', '=', network)
    .executeTakeFirst();
  const known = before && before.first >= since ? before : { failures: 0, first: at };
  const failures = known.failures + 1;
  const seconds = lock(failures);
  // The clocks of the processes may differ: the first failure may lie ahead of this one, and "locked until now" would be a lock elsewhere.
  const last = Math.max(at, known.first);
  const row = { failures, first: known.first, last, locked_until: seconds === 0 ? 0 : at + seconds };
  await trx
    .insertInto('login_failures')
    .values({ email_index: index, network, ...row })
    .onConflict((conflict) => conflict.columns(['email_index', 'network']).doUpdateSet(row))
    .execute();
}

/** Somebody logged in from there. What others try elsewhere counts on. */
export const forgiveNetwork = (trx: Transaction<Schema>, { index, network }: Attempt) =>
  trx.deleteFrom('login_failures').where('email_index', '=', index).where('network', '=', network).execute();

/** All of an address: it is erased, or has a new password. */
export const forgiveAll = (trx: Transaction<Schema>, index: Buffer) =>
  trx.deleteFrom('login_failures').where('email_index', '=', index).execute();

/** Those that are a day old. */
export const forgetFailures = (connection: Connection, now: number) =>
  connection
    .deleteFrom('login_failures')
    .where('last', '<', now - FORGOTTEN)
    .execute();
