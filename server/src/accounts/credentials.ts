/**
 * Checks passwords. Known and unknown addresses cost the same work and are locked alike, so that an answer tells nothing about
 * them.
 */
import { type AuditAction, ModelGuardError } from '@org/model-guard/server-kit';
import type { Selectable, Transaction } from 'kysely';
import type { Caller } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Schema, UserTable } from '../database/schema.js';
import { FairQueue } from '../limits/fair-queue.js';
import { RateLimitError } from '../limits/rate-limit-error.js';
import { isAdmitted, noteFailure, noteSuccess, waitOf } from './admission.js';
import { type Attempt, attemptOf } from './login-attempt.js';
import { passwordHolds, prepareDummyHash } from './passwords.js';

/** Attempts at one address from one network that wait for each other. */
const WAITING = 64;

export type User = Selectable<UserTable>;
/** An address and a password that are to be checked. */
export interface Claim {
  /** HMAC of the address. */
  readonly index: Uint8Array;
  readonly password: string;
  /** The network of the request (`networkOf`). */
  readonly network: string;
  readonly caller: Caller;
  /** The action in the audit log. */
  readonly action: AuditAction;
  /** The detail in the audit log where no account has the address. */
  readonly tried: string;
  /** Expensive work for a right password only; it ends before the transaction begins. */
  readonly prepare?: (() => Promise<void>) | undefined;
}
/** Runs in the transaction that finds the password right. */
export type OnVerified<T> = (trx: Transaction<Schema>, user: User, attempt: Attempt) => Promise<T>;
/** @throws NOT_AUTHENTICATED, RATE_LIMITED; both are in the audit log then */
export type CheckCredentials = <T>(claim: Claim, then: OnVerified<T>) => Promise<T>;

export async function makeCredentials(context: Context): Promise<CheckCredentials> {
  await prepareDummyHash();
  // One at a time for each address and network: a hundred guesses at once count as a hundred failures.
  const attempts = new FairQueue(Number.POSITIVE_INFINITY, WAITING);
  return (claim, then) =>
    attempts.run(`${Buffer.from(claim.index).toString('base64')} ${claim.network}`, () => check(context, claim, then));
}

async function check<T>({ db, keys, now, audit }: Context, claim: Claim, then: OnVerified<T>): Promise<T> {
  const { password, caller, action, tried } = claim;
  const attempt = attemptOf(keys.fields, claim.index, claim.network);
  const user = await db.selectFrom('users').selectAll().where('email_index', '=', attempt.index).executeTakeFirst();
  const whose = user
    ? { action, caller, subject: user.subject, resource: `account:${user.id}` }
    : { action, caller, detail: tried };
  // Before the hash, which is expensive.
  if (!(await isAdmitted(db, attempt, now()))) {
    const wait = await db.transaction().execute(async (trx) => {
      await audit.refuse(trx, { ...whose, outcome: 'denied' });
      return await waitOf(trx, attempt, now());
    });
    throw new RateLimitError(Math.max(1, wait));
  }
  const holds = await passwordHolds(user?.password, password);
  if (holds) await claim.prepare?.();
  const done = await db.transaction().execute(async (trx) => {
    // Other processes may have counted guesses meanwhile. An attempt that is locked by then does not learn that its password was
    // right.
    const wait = await waitOf(trx, attempt, now());
    if (wait > 0) {
      await audit.refuse(trx, { ...whose, outcome: 'denied' });
      return { wait };
    }
    const fresh = user && holds ? await unchanged(trx, user) : undefined;
    if (fresh) {
      await noteSuccess(trx, attempt, now());
      return { result: await then(trx, fresh, attempt) };
    }
    await noteFailure(trx, attempt, now());
    await audit.refuse(trx, { ...whose, outcome: 'failure' });
    return undefined;
  });
  if (!done) throw new ModelGuardError('NOT_AUTHENTICATED', 'E-mail address or password is wrong');
  if (done.wait !== undefined) throw new RateLimitError(done.wait);
  return done.result;
}

/** Undefined where the account was disabled, erased or given another password meanwhile. */
const unchanged = (trx: Transaction<Schema>, { id, password }: User): Promise<User | undefined> =>
  trx
    .selectFrom('users')
    .selectAll()
    .where('id', '=', id)
    .where('password', '=', password)
    .where('disabled', '=', 0)
    .executeTakeFirst();
