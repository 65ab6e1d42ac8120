/** Gives an account a new password, on the server's machine or as an administrator. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Caller, Member } from '../base/caller.js';
import type { Context } from '../context.js';
import { afterCommit } from '../database/unavailable.js';
import { forgetAttempts } from './admission.js';
import { forgetFirstAccount, removeFirstPassword } from './first-password.js';
import { checkPassword, hashPassword } from './passwords.js';
import { type Account, accountOf, openProfile, type UserRow, users } from './profiles.js';
import { confirmRights } from './rights.js';
import { findUser } from './users.js';

const machine: Caller = { address: '', request: 'reset-password' };

type Place = Pick<Context, 'audit' | 'config' | 'db' | 'keys'>;

/**
 * Sets the password, enables the account, ends its tokens, and forgets failed log-ins and known networks, in one transaction. The
 * audit log records `users.reset-password`. A running server uses the new state from its next request on.
 * @throws NOT_FOUND, PASSWORD_WEAK
 */
export async function resetPassword(context: Place, email: string, next: string): Promise<void> {
  const { db, audit } = context;
  const { email: kept, name } = openProfile(context, await findByEmail(context, email));
  checkPassword(next, kept, name);
  const password = await hashPassword(next);
  await db.transaction().execute(async (trx) => {
    const { id, subject, email_index, token_epoch } = await findByEmail({ ...context, db: trx }, email);
    const values = { password, disabled: 0, must_change_password: 0, token_epoch: token_epoch + 1 };
    await trx.updateTable('users').set(values).where('id', '=', id).execute();
    await forgetAttempts(trx, email_index);
    const entry = { action: 'users.reset-password', outcome: 'success', caller: machine } as const;
    await audit.append(trx, { ...entry, resource: `account:${id}`, subject });
  });
  await removeFirstPassword(context);
}

/**
 * Sets a one-time password, which must be changed before anything else, and ends the account's tokens and lock-out. A disabled
 * account stays disabled.
 * @throws NOT_FOUND, PASSWORD_WEAK
 */
export const resetUserPassword = (context: Context, caller: Member, id: string, next: string): Promise<Account> =>
  recordRefusals(context, { action: 'users.reset-password', caller, resource: `account:${id}` }, () =>
    resetForOwner(context, caller, id, next),
  );

async function resetForOwner(context: Context, caller: Member, id: string, next: string): Promise<Account> {
  const { email, name } = openProfile(context, await findUser(context.db, id));
  checkPassword(next, email, name);
  const password = await hashPassword(next);
  const row = await context.db.transaction().execute(async (trx) => {
    // First: the caller may reset its own account.
    await confirmRights(trx, caller);
    const user = await findUser(trx, id);
    const values = { password, must_change_password: 1, token_epoch: user.token_epoch + 1 };
    await trx.updateTable('users').set(values).where('id', '=', id).execute();
    await forgetAttempts(trx, user.email_index);
    await forgetFirstAccount(trx, id);
    const about = { resource: `account:${id}`, subject: user.subject };
    await context.audit.append(trx, { action: 'users.reset-password', outcome: 'success', caller, ...about });
    return { ...user, ...values };
  });
  await afterCommit(() => removeFirstPassword(context));
  return accountOf(context, row);
}

/** @throws NOT_FOUND, which names the accounts that may manage accounts */
async function findByEmail(
  context: Pick<Context, 'keys'> & { readonly db: Parameters<typeof users>[0] },
  email: string,
): Promise<UserRow> {
  const { db, keys } = context;
  const index = Buffer.from(keys.fields.emailIndex(email));
  const row = await users(db).where('users.email_index', '=', index).executeTakeFirst();
  if (row) return row;
  const admins = await users(db).where('users.role', '=', 'apiAdmin').orderBy('users.created').limit(10).execute();
  const emails = admins.map((admin) => openProfile(context, admin).email);
  throw new ModelGuardError('NOT_FOUND', `There is no account with the e-mail address ${email}`, {
    advice: `Name another one (--email). Accounts that manage accounts: ${emails.join(', ') || 'none'}.`,
  });
}
