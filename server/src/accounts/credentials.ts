/** Checking passwords. Guessing tells nothing: known and unknown addresses cost the same work and are locked alike. */
import { type AuditAction, ModelGuardError } from '@org/model-guard/server-kit';
import type { Selectable, Transaction } from 'kysely';
import type { Caller, Context } from '../context.js';
import type { Schema, UserTable } from '../database/schema.js';
import { FairGate } from '../fair-gate.js';
import { TooMany } from '../too-many.js';
import { isAdmitted, noteFailure, noteSuccess, waitOf } from './admission.js';
import { type Attempt, attemptOf } from './attempt.js';
import { passwordHolds, prepareNobody } from './passwords.js';

/** Attempts at one address from one network that wait for each other. */
const WAITING = 64;

export type User = Selectable<UserTable>;
/** What somebody claims to know. */
export interface Claim {
  /** HMAC of the address. */
  readonly index: Uint8Array;
  readonly password: string;
  /** Where it comes from (`networkOf`). */
  readonly network: string;
  readonly caller: Caller;
  /** How the audit log calls it. */
  readonly action: AuditAction;
  /** For the audit log where the address is nobody's. */
  readonly tried: string;
  /** Dear work that a right password alone is worth; it ends before the transaction begins. */
  readonly prepare?: (() => Promise<void>) | undefined;
}
/** What is done in the transaction that finds the password right. */
export type Then<T> = (trx: Transaction<Schema>, user: User, attempt: Attempt) => Promise<T>;
/** @throws NOT_AUTHENTICATED, RATE_LIMITED; both are in the audit log then */
export type CheckCredentials = <T>(claim: Claim, then: Then<T>) => Promise<T>;

export async function makeCredentials(context: Context): Promise<CheckCredentials> {
  await prepareNobody();
  // One at a time for each address and network: a hundred guesses at once are a hundred failures, not one.
  const attempts = new FairGate(Number.POSITIVE_INFINITY, WAITING);
  return (claim, then) =>
    attempts.run(`${Buffer.from(claim.index).toString('base64')} ${claim.network}`, () => check(context, claim, then));
}

async function check<T>({ db, keys, now, audit }: Context, claim: Claim, then: Then<T>): Promise<T> {
  const { password, caller, action, tried } = claim;
  const attempt = attemptOf(keys.fields, claim.index, claim.network);
  const user = await db.selectFrom('users').selectAll().where('email_index', '=', attempt.index).executeTakeFirst();
  const whose = user
    ? { action, caller, subject: user.subject, resource: `account:${user.id}` }
    : { action, caller, detail: tried };
  // Before the hash is computed: it is dear.
  if (!(await isAdmitted(db, attempt, now()))) {
    const wait = await db.transaction().execute(async (trx) => {
      await audit.append(trx, { ...whose, outcome: 'denied' });
      return await waitOf(trx, attempt, now());
    });
    throw new TooMany(Math.max(1, wait));
  }
  const holds = await passwordHolds(user?.password, password);
  if (holds) await claim.prepare?.();
  const done = await db.transaction().execute(async (trx) => {
    // Guesses that other processes checked at the same time count: an attempt that they lock is not told that it was right.
    const wait = await waitOf(trx, attempt, now());
    if (wait > 0) {
      await audit.append(trx, { ...whose, outcome: 'denied' });
      return { wait };
    }
    const fresh = user && holds ? await unchanged(trx, user) : undefined;
    if (fresh) {
      await noteSuccess(trx, attempt, now());
      return { result: await then(trx, fresh, attempt) };
    }
    await noteFailure(trx, attempt, now());
    await audit.append(trx, { ...whose, outcome: 'failure' });
    return undefined;
  });
  if (!done) throw new ModelGuardError('NOT_AUTHENTICATED', 'E-mail address or password is wrong');
  if (done.wait !== undefined) throw new TooMany(done.wait);
  return done.result;
}

/** What was verified may have changed meanwhile: another password, a disabled or erased account. */
const unchanged = (trx: Transaction<Schema>, { id, password }: User): Promise<User | undefined> =>
  trx
    .selectFrom('users')
    .selectAll()
    .where('id', '=', id)
    .where('password', '=', password)
    .where('disabled', '=', 0)
    .executeTakeFirst();
