/** What everybody may do with the own account. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import { recordingRefusals } from '../audit/refused.js';
import type { Context, Member } from '../context.js';
import { afterCommit } from '../database/away.js';
import type { CheckCredentials } from './credentials.js';
import { removeFirstPassword } from './first-start.js';
import { forgetOtherNetworks } from './known-networks.js';
import { checkPassword, hashPassword } from './passwords.js';
import { openProfile } from './profiles.js';
import { findUser } from './users.js';

/**
 * Every token made before is refused from then on. The current password is checked like a log-in's: a stolen token is no way to guess it.
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
  await recordingRefusals(context, { action, resource: `account:${user.id}`, caller }, async () => {
    checkPassword(next, email, name);
    if (next === current) throw new ModelGuardError('PASSWORD_WEAK', 'The new password is the old one');
  });
  let password: string | undefined;
  const claim = {
    ...{ index: user.email_index, password: current, network, caller, action, tried: '' },
    // Not before: a stolen token would make the server hash for a wrong password, and for a locked account.
    prepare: async () => {
      password = await hashPassword(next);
    },
  };
  await check(claim, async (trx, { id, token_epoch }, attempt) => {
    // First: the change ends the token that it was asked for with.
    await context.audit.append(trx, { action, outcome: 'success', resource: `account:${id}`, caller });
    await forgetOtherNetworks(trx, attempt);
    const values = { password, must_change_password: 0, token_epoch: token_epoch + 1 };
    await trx.updateTable('users').set(values).where('id', '=', id).execute();
  });
  await afterCommit(() => removeFirstPassword(context));
}
