/** Who may use which route: decided here, for every route, by the contract alone. */
import { ModelGuardError, permits, type RouteName } from '@org/model-guard/server-kit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Tokens } from '../accounts/tokens.js';
import type { Context } from '../context.js';
import { networkOf } from './addresses.js';
import { DOCS } from './docs.js';
import { definitions } from './shapes.js';
import { Throttle } from './throttle.js';

/** Forged tokens of one network that the audit log takes in a minute. */
const NOTED = 5;
const MINUTE = 60;
const BEARER = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)$/i;
const LONGEST_TOKEN = 4096;

/** Refuses to start with a route that is not in the contract. */
export function demandContract(app: FastifyInstance): void {
  app.addHook('onRoute', ({ method, url, config }) => {
    if (config?.contract !== undefined && Object.hasOwn(definitions, config.contract)) return;
    if (isDocs(url) || (method === 'OPTIONS' && url === '*')) return;
    throw new TypeError(`The route ${method} ${url} declares no access: it is not in the contract`);
  });
}

const isDocs = (url: string): boolean => url === DOCS || url.startsWith(`${DOCS}/`);

/** One hook before every handler. NOT_AUTHENTICATED, NOT_AUTHORISED */
export function registerAuthorisation(app: FastifyInstance, context: Context, tokens: Tokens): void {
  const authenticate = context.config.authentication ? bearer(context, tokens) : developer(context);

  app.addHook('onRequest', async (request) => {
    const { contract } = request.routeOptions.config;
    // Unknown routes, documentation, preflights: nothing there to protect.
    if (contract === undefined) return;
    const { access } = definitions[contract];
    // The room of a signed URL checks the signature.
    if (access === 'open' || access === 'signed-url') return;
    const account = await authenticate(request, contract);
    request.caller = { ...request.caller, account };
    const stale = account.mustChange && access !== 'account.self';
    if (!stale && permits(account.role, access)) return;
    const resource = `route:${contract}`;
    await context.audit.record({ action: 'authz.denied', outcome: 'denied', resource, caller: request.caller });
    throw stale
      ? new ModelGuardError(
          'NOT_AUTHORISED',
          'The password must be changed first (`model-guard password`, POST /account/password)',
        )
      : new ModelGuardError('NOT_AUTHORISED', `The role ${account.role} does not have the permission ${access}`);
  });
}

interface Account {
  readonly id: string;
  readonly subject: string;
  readonly role: NonNullable<FastifyRequest['caller']['account']>['role'];
  readonly mustChange: boolean;
}
type Authenticate = (request: FastifyRequest, contract: RouteName) => Promise<Account>;

/** By token. What the token says of the role does not count: the database does, at this moment. */
function bearer({ db, audit, now }: Context, tokens: Tokens): Authenticate {
  const throttle = new Throttle(NOTED, MINUTE);

  const refuse = async ({ caller, ip }: FastifyRequest, contract: RouteName, why: string): Promise<never> => {
    const { allowed, suppressed } = throttle.take(networkOf(ip), now());
    const more = suppressed > 0 ? `, and ${suppressed} more from this address in the last minute` : '';
    const entry = { action: 'auth.token', outcome: 'failure', resource: `route:${contract}`, caller } as const;
    if (allowed) await audit.record({ ...entry, detail: `${why}${more}` });
    throw new ModelGuardError('NOT_AUTHENTICATED', 'The token is not valid', { advice: 'Log in again.' });
  };

  return async (request, contract) => {
    const { authorization } = request.headers;
    if (authorization === undefined)
      throw new ModelGuardError('NOT_AUTHENTICATED', 'This needs a token', { advice: 'POST /auth/token gives one.' });
    const token = authorization.length <= LONGEST_TOKEN ? BEARER.exec(authorization)?.[1] : undefined;
    if (token === undefined) return refuse(request, contract, 'not a bearer token');
    const claims = await tokens.verify(token).catch((error: unknown) => {
      if (!(error instanceof ModelGuardError)) throw error;
      return refuse(request, contract, reasonOf(error));
    });
    const user = await db
      .selectFrom('users')
      .select(['id', 'subject', 'role', 'disabled', 'must_change_password', 'token_epoch'])
      .where('id', '=', claims.account)
      .executeTakeFirst();
    if (!user) return refuse(request, contract, 'its account does not exist');
    if (user.disabled === 1) return refuse(request, contract, 'its account is disabled');
    if (user.token_epoch !== claims.epoch) return refuse(request, contract, 'the password was changed since');
    return { id: user.id, subject: user.subject, role: user.role, mustChange: user.must_change_password === 1 };
  };
}

/** jose's code: which check failed, nothing of the token. */
const reasonOf = ({ cause }: ModelGuardError): string =>
  cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : 'malformed';

/** Without authentication everybody is the first administrator. */
const developer =
  ({ db }: Context): Authenticate =>
  async () => {
    const admin = await db
      .selectFrom('users')
      .select(['id', 'subject', 'role'])
      .where('role', '=', 'apiAdmin')
      .where('disabled', '=', 0)
      .orderBy('created')
      .executeTakeFirstOrThrow();
    return { ...admin, mustChange: false };
  };
