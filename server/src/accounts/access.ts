/** Finds the account of a request, by its token or, where authentication is off, without one. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { Context } from '../context.js';
import type { Access, Credentials } from '../http/authorise.js';
import { demandAccess, findAccount, readRights, tokenRefused } from './rights.js';
import type { Tokens } from './tokens.js';

const BEARER = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)$/i;
const LONGEST_TOKEN = 4096;

export const makeAccess = (context: Context, tokens: Tokens): Access => ({
  authenticate: context.config.authentication ? bearer(context, tokens) : firstAdministrator(context),
  demand: demandAccess,
  readRights: (caller) => readRights(context.db, caller),
});

/** By token. The role is the database's of this moment, not the token's. */
function bearer({ db, audit }: Context, tokens: Tokens): Access['authenticate'] {
  const refuse = async ({ caller, route }: Credentials, detail: string): Promise<never> => {
    const entry = { action: 'auth.token', outcome: 'failure', resource: `route:${route}`, caller } as const;
    await audit.record({ ...entry, detail });
    throw tokenRefused();
  };

  return async (credentials) => {
    const { authorization } = credentials;
    if (authorization === undefined)
      throw new ModelGuardError('NOT_AUTHENTICATED', 'This needs a token', { advice: 'POST /auth/token gives one.' });
    const token = authorization.length <= LONGEST_TOKEN ? BEARER.exec(authorization)?.[1] : undefined;
    if (token === undefined) return refuse(credentials, 'not a bearer token');
    const {
      account: id,
      epoch,
      role: tokenRole,
    } = await tokens.verify(token).catch((error: unknown) => {
      if (!(error instanceof ModelGuardError)) throw error;
      return refuse(credentials, reasonOf(error));
    });
    const found = await findAccount(db, id, epoch);
    return found.refused === undefined ? { ...found.account, epoch, tokenRole } : refuse(credentials, found.refused);
  };
}

/** jose's code, which names the check that failed and holds nothing of the token. */
const reasonOf = ({ cause }: ModelGuardError): string =>
  cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'malformed';

/** Without authentication every request is the first administrator's. */
const firstAdministrator =
  ({ db }: Context): Access['authenticate'] =>
  async () => {
    const admin = await db
      .selectFrom('users')
      .select(['id', 'subject', 'role'])
      .where('role', '=', 'apiAdmin')
      .where('disabled', '=', 0)
      .orderBy('created')
      .executeTakeFirstOrThrow();
    return { ...admin, mustChange: false, epoch: undefined, tokenRole: undefined };
  };
