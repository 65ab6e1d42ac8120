/** Challenges (docs/server-protocol.md, section 2): 32 random bytes, good for one request within a minute. */
import { randomBytes } from 'node:crypto';
import { encode, ModelGuardError } from '@org/model-guard/server-kit';
import type { DeleteResult } from 'kysely';
import { confirmRights } from '../accounts/rights.js';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import type { ChallengeTable } from '../database/schema.js';

const LIVES_SECONDS = 60;
/** Seconds. A challenge that would live longer than its minute and this was made by a clock that was ahead: it is invalid. */
const SKEW_SECONDS = 120;

export const newChallenge = (): string => encode(randomBytes(32));

/**
 * Stores a challenge for the caller, and deletes expired ones of the account, so that an account has no more of them than it may
 * request in a minute. Runs outside of transactions, so that it does not wait for writers. A challenge alone allows nothing: the
 * transaction that spends it reads the rights again.
 */
export async function keepChallenge(
  { db, now }: Pick<Context, 'db' | 'now'>,
  member: Member,
  challenge: Omit<ChallengeTable, 'account' | 'expires'>,
): Promise<{ expires: number }> {
  const { account } = await confirmRights(db, member);
  const time = now();
  await db.deleteFrom('challenges').where('account', '=', account.id).where('expires', '<', time).execute();
  const expires = time + LIVES_SECONDS;
  await db
    .insertInto('challenges')
    .values({ ...challenge, account: account.id, expires })
    .execute();
  return { expires };
}

/** Deletes at most `limit` challenges that expired unused. */
export function forgetChallenges(connection: Connection, now: number, limit: number): Promise<DeleteResult> {
  const over = connection.selectFrom('challenges').select('challenge').where('expires', '<', now).limit(limit);
  return connection.deleteFrom('challenges').where('challenge', 'in', over).executeTakeFirstOrThrow();
}

/** Consumes a challenge in any case. Undefined unless it was made for this account and purpose, less than a minute ago. */
export async function spendChallenge(
  connection: Connection,
  { challenge, purpose, account }: Pick<ChallengeTable, 'challenge' | 'purpose' | 'account'>,
  now: number,
): Promise<ChallengeTable | undefined> {
  const spent = await connection.deleteFrom('challenges').where('challenge', '=', challenge).returningAll().executeTakeFirst();
  const lives = spent && spent.expires >= now && spent.expires <= now + LIVES_SECONDS + SKEW_SECONDS;
  return lives && spent.purpose === purpose && spent.account === account ? spent : undefined;
}

/** The error for every wrong proof. It does not tell which part of the proof failed. */
export const unproven = (): ModelGuardError =>
  new ModelGuardError('PROOF_INVALID', 'The signature is not that of this device, or its challenge is unknown, used or over');
