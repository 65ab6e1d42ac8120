/** Routes of log-in, of the own account and of all accounts. */
import { signAs } from '@org/model-guard/server-kit';
import type { FastifyInstance } from 'fastify';
import { recordRefusals } from '../audit/record-refusals.js';
import { networkOf } from '../base/addresses.js';
import { memberOf } from '../base/caller.js';
import type { Context } from '../context.js';
import { implement } from '../http/implement.js';
import { forgetOldAttempts } from './admission.js';
import { changePassword } from './change-password.js';
import { makeCredentials } from './credentials.js';
import { makeLogin } from './login.js';
import { accountOf } from './profiles.js';
import { resetUserPassword } from './reset-password.js';
import type { Tokens } from './tokens.js';
import { createUser, findByEmail, findUser, listUsers, updateUser } from './users.js';

export async function registerAccounts(app: FastifyInstance, context: Context, tokens: Tokens): Promise<void> {
  const { keys, serverId: server, now, audit, db, cleanup } = context;
  cleanup.add(() => forgetOldAttempts(db, now()));
  const check = await makeCredentials(context);
  const login = makeLogin(context, check, tokens);

  implement(app, 'token', ({ body, caller, request }) => login(body, caller, networkOf(request.ip)));
  implement(app, 'login', ({ body, caller, request }) => login(body, caller, networkOf(request.ip)));
  implement(app, 'jwks', async () => {
    const published = [...(await tokens.keys())];
    const { key } = await keys.newest(db);
    return { keys: published, statement: signAs(key, { kind: 'jwks', server, time: now(), keys: published }) };
  });

  implement(app, 'account', async (exchange) => {
    const caller = memberOf(exchange.caller);
    const row = await findUser(db, caller.account.id);
    await audit.record({ action: 'account.read', outcome: 'success', resource: `account:${row.id}`, caller });
    return accountOf(context, row);
  });
  implement(app, 'changePassword', ({ caller, body, request }) =>
    changePassword(context, check, memberOf(caller), networkOf(request.ip), body),
  );

  implement(app, 'listUsers', async ({ caller, query }) => {
    const page = await listUsers(context, query);
    await audit.record({ action: 'users.list', outcome: 'success', caller });
    return page;
  });
  implement(app, 'createUser', ({ caller, body }) => createUser(context, memberOf(caller), body));
  implement(app, 'findUser', ({ caller, body }) => findByEmail(context, memberOf(caller), body.email));
  implement(app, 'getUser', async ({ caller, params }) => {
    const entry = { action: 'users.read', resource: `account:${params.account}`, caller } as const;
    const row = await recordRefusals(context, entry, () => findUser(db, params.account));
    await audit.record({ ...entry, outcome: 'success' });
    return accountOf(context, row);
  });
  implement(app, 'updateUser', ({ caller, params, body }) => updateUser(context, memberOf(caller), params.account, body));
  implement(app, 'resetUserPassword', ({ caller, params, body }) =>
    resetUserPassword(context, memberOf(caller), params.account, body.password),
  );
}
