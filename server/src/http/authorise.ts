/** Who may use which route: decided here, for every route, by the contract alone. */
import { isModelGuardError, ModelGuardError, type RouteName } from '@org/model-guard/server-kit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type Account, demandAccess, findAccount, readRights, tokenRefused } from '../accounts/rights.js';
import type { Tokens } from '../accounts/tokens.js';
import type { Context, Rights } from '../context.js';
import { DOCS } from './docs.js';
import { isImplemented, isReading } from './implement.js';
import { definitions } from './shapes.js';

const BEARER = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*)$/i;
const LONGEST_TOKEN = 4096;

/**
 * Refuses to start with a route that is not in the contract, and with one that changes something and was not registered by `implement`:
 * its caller's rights would not be read again.
 */
export function demandContract(app: FastifyInstance): void {
  app.addHook('onRoute', ({ method, url, config, handler }) => {
    if (isDocs(url) || (method === 'OPTIONS' && url === '*')) return;
    if (config?.contract === undefined || !Object.hasOwn(definitions, config.contract))
      throw new TypeError(`The route ${method} ${url} declares no access: it is not in the contract`);
    if (![method].flat().every(isReading) && !isImplemented(handler))
      throw new TypeError(`The route ${method} ${url} changes something, and nothing reads its caller's rights again`);
  });
}

const isDocs = (url: string): boolean => url === DOCS || url.startsWith(`${DOCS}/`);

/** One hook before every handler. NOT_AUTHENTICATED, NOT_AUTHORISED */
export function registerAuthorisation(app: FastifyInstance, context: Context, tokens: Tokens): void {
  const authenticate = context.config.authentication ? bearer(context, tokens) : developer(context);

  const recorded = async (request: FastifyRequest, contract: RouteName, check: () => Promise<unknown>): Promise<void> => {
    try {
      await check();
    } catch (error) {
      const entry = { action: 'authz.denied', outcome: 'denied', resource: `route:${contract}`, caller: request.caller } as const;
      if (isModelGuardError(error)) await context.audit.record(entry);
      throw error;
    }
  };

  app.addHook('onRequest', async (request) => {
    const { contract } = request.routeOptions.config;
    // Unknown routes, documentation, preflights: nothing there to protect.
    if (contract === undefined) return;
    const { access } = definitions[contract];
    // The room of a signed URL checks the signature.
    if (access === 'open' || access === 'signed-url') return;
    const { epoch, tokenRole, ...account } = await authenticate(request, contract);
    const { id, subject, role } = account;
    request.caller = { ...request.caller, account: { id, subject, role }, rights: { epoch, tokenRole, access } };
    await recorded(request, contract, async () => demandAccess(account, access));
  });

  // Bodies may be long in coming. A change is not even begun for an account that was let in and has lost its rights since.
  app.addHook('preHandler', async (request) => {
    const { contract } = request.routeOptions.config;
    if (contract === undefined || isReading(request.method)) return;
    await recorded(request, contract, () => readRights(context.db, request.caller));
  });
}

/** An account that was let in, and what its token says. */
type LetIn = Account & Pick<Rights, 'epoch' | 'tokenRole'>;
type Authenticate = (request: FastifyRequest, contract: RouteName) => Promise<LetIn>;

/** By token. What the token says of the role does not count: the database does, at this moment. */
function bearer({ db, audit }: Context, tokens: Tokens): Authenticate {
  const refuse = async ({ caller }: FastifyRequest, contract: RouteName, why: string): Promise<never> => {
    const entry = { action: 'auth.token', outcome: 'failure', resource: `route:${contract}`, caller } as const;
    await audit.record({ ...entry, detail: why });
    throw tokenRefused();
  };

  return async (request, contract) => {
    const { authorization } = request.headers;
    if (authorization === undefined)
      throw new ModelGuardError('NOT_AUTHENTICATED', 'This needs a token', { advice: 'POST /auth/token gives one.' });
    const token = authorization.length <= LONGEST_TOKEN ? BEARER.exec(authorization)?.[1] : undefined;
    if (token === undefined) return refuse(request, contract, 'not a bearer token');
    const {
      account: id,
      epoch,
      role: tokenRole,
    } = await tokens.verify(token).catch((error: unknown) => {
      if (!(error instanceof ModelGuardError)) throw error;
      return refuse(request, contract, reasonOf(error));
    });
    const found = await findAccount(db, id, epoch);
    return found.refused === undefined ? { ...found.account, epoch, tokenRole } : refuse(request, contract, found.refused);
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
    return { ...admin, mustChange: false, epoch: undefined, tokenRole: undefined };
  };
