/** Changes the password of the caller's own account. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import { afterCommit } from '../database/unavailable.js';
import type { CheckCredentials } from './credentials.js';
import { removeFirstPassword } from './first-password.js';
import { forgetOtherNetworks } from './known-networks.js';
import { checkPassword, hashPassword } from './passwords.js';
import { openProfile } from './profiles.js';
import { findUser } from './users.js';

/**
 * Changes a password and ends every earlier token. The current password is checked as at log-in, so that a stolen token does not
 * help to guess it.
 * @throws NOT_AUTHENTICATED, RATE_LIMITED, PASSWORD_WEAK
 */
export async function changePassword(
  context: Context,
  check: CheckCredentials,
  caller: Member,
  network: string,
  { current, next }: { readonly current: string; readonly next: string },
): Promise<void> {
  const user = await findUser(context.db, caller.account.id);
  const { email, name } = openProfile(context, user);
  const action = 'account.password' as const;
  await recordRefusals(context, { action, resource: `account:${user.id}`, caller }, async () => {
    checkPassword(next, email, name);
    if (next === current)
      throw new ModelGuardError('PASSWORD_WEAK', 'The new password is the old one', { advice: 'Choose another one.' });
  });
  let password: string | undefined;
  const claim = {
    ...{ index: user.email_index, password: current, network, caller, action, tried: '' },
    // Hashed only now: a stolen token must not make the server hash for a wrong password or a locked account.
    prepare: async () => {
      password = await hashPassword(next);
    },
  };
  await check(claim, async (trx, { id, token_epoch }, attempt) => {
    // The event comes first: the change ends the token of this request.
    await context.audit.append(trx, { action, outcome: 'success', resource: `account:${id}`, caller });
    await forgetOtherNetworks(trx, attempt);
    const values = { password, must_change_password: 0, token_epoch: token_epoch + 1 };
    await trx.updateTable('users').set(values).where('id', '=', id).execute();
  });
  await afterCommit(() => removeFirstPassword(context));
}
