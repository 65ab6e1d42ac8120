/** Exchanges an address and a password for a token. */

import type { Caller } from '../base/caller.js';
import type { Context } from '../context.js';
import type { CheckCredentials } from './credentials.js';
import type { Tokens } from './tokens.js';

/** The answer to a log-in. */
export interface LoginResult {
  readonly token: string;
  readonly expires: number;
  readonly mustChangePassword: boolean;
}
/** `network` is `networkOf` the caller's address. */
export type Login = (
  given: { readonly email: string; readonly password: string },
  caller: Caller,
  network: string,
) => Promise<LoginResult>;

export const makeLogin =
  ({ keys, audit }: Context, check: CheckCredentials, tokens: Tokens): Login =>
  async ({ email, password }, caller, network) => {
    const action = 'auth.login' as const;
    const claim = { index: keys.fields.emailIndex(email), password, network, caller, action, tried: `address ${email}` };
    const user = await check(claim, async (trx, { id, subject, role, token_epoch, must_change_password }) => {
      const account = { id, subject, role };
      await audit.append(trx, { action, outcome: 'success', resource: `account:${id}`, caller: { ...caller, account } });
      return { id, role, epoch: token_epoch, mustChange: must_change_password === 1 };
    });
    return { ...(await tokens.issue(user)), mustChangePassword: user.mustChange };
  };
