/** Decides which caller may use which route, for every route, by the contract alone. */
import { isModelGuardError, type Permission, type RouteName } from '@org/model-guard/server-kit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Caller, Member, Rights } from '../base/caller.js';
import type { AuditLog } from '../context.js';
import { DOCS } from './docs.js';
import { isImplemented, isReading } from './implement.js';
import { definitions } from './shapes.js';

/** An account that was admitted, and the claims of its token. */
export type Admitted = Member['account'] & Pick<Rights, 'epoch' | 'tokenRole'> & { readonly mustChange: boolean };

/** A request whose account is not known yet. */
export interface Credentials {
  /** The header of that name. */
  readonly authorization: string | undefined;
  readonly route: RouteName;
  readonly caller: Caller;
}

/** The accounts behind requests, as this room needs them. `accounts/access.ts` implements it. */
export interface Access {
  /** @throws NOT_AUTHENTICATED; it is in the audit log then, unless no token was given */
  authenticate(credentials: Credentials): Promise<Admitted>;
  /** @throws NOT_AUTHORISED where the account does not have the permission */
  demand(account: Admitted, permission: Permission): void;
  /** Reads the rights of the caller again. @throws NOT_AUTHENTICATED, NOT_AUTHORISED */
  readRights(caller: Caller): Promise<unknown>;
}

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
export function registerAuthorisation(app: FastifyInstance, audit: Pick<AuditLog, 'record'>, access: Access): void {
  const recorded = async (request: FastifyRequest, contract: RouteName, check: () => Promise<unknown>): Promise<void> => {
    try {
      await check();
    } catch (error) {
      const entry = { action: 'authz.denied', outcome: 'denied', resource: `route:${contract}`, caller: request.caller } as const;
      if (isModelGuardError(error)) await audit.record(entry);
      throw error;
    }
  };

  app.addHook('onRequest', async (request) => {
    const { contract } = request.routeOptions.config;
    // Unknown routes, documentation and preflights protect nothing.
    if (contract === undefined) return;
    const { access: permission } = definitions[contract];
    // The room of a signed URL checks the signature.
    if (permission === 'open' || permission === 'signed-url') return;
    const { authorization } = request.headers;
    const admitted = await access.authenticate({ authorization, route: contract, caller: request.caller });
    const { id, subject, role, epoch, tokenRole } = admitted;
    request.caller = { ...request.caller, account: { id, subject, role }, rights: { epoch, tokenRole, access: permission } };
    await recorded(request, contract, async () => access.demand(admitted, permission));
  });

  // A body may take long to arrive. A change does not begin for an account that has lost its rights since it was admitted.
  app.addHook('preHandler', async (request) => {
    const { contract } = request.routeOptions.config;
    if (contract === undefined || isReading(request.method)) return;
    await recorded(request, contract, () => access.readRights(request.caller));
  });
}
