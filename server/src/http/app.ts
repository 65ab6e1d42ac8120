/** The HTTP face, put together: what every request passes, in order, then the rooms' routes. */
import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyServerFactoryHandler, LogController } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { registerAccounts } from '../accounts/routes.js';
import type { Tokens } from '../accounts/tokens.js';
import { registerArchives } from '../archives/routes.js';
import { registerAudit } from '../audit/routes.js';
import type { Context } from '../context.js';
import { registerDevices } from '../devices/routes.js';
import { registerKeys } from '../keys/routes.js';
import { registerLeases } from '../leases/routes.js';
import { registerModels } from '../models/routes.js';
import { registerUpkeep } from '../upkeep.js';
import { registerAccessLog } from './access-log.js';
import { addressOf, forwardedAddress, networkOf, oneProxy } from './addresses.js';
import { demandContract, registerAuthorisation } from './authorise.js';
import { BODY_LIMIT, registerBodies } from './body.js';
import { registerDocs } from './docs.js';
import { answerError, registerErrors } from './errors.js';
import { registerHealth } from './health.js';
import { makeLimits } from './limits.js';
import { registerMemory } from './memory.js';
import { registerMetrics } from './metrics.js';
import { registerSecurity } from './security.js';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
/** Longer than Node takes a head of a request: the contract's shapes bound parameters. */
const LONGEST_PARAMETER = 65_536;

const isDecodable = (url: string): boolean => {
  try {
    decodeURIComponent(url.split('?', 1)[0] ?? '');
    return true;
  } catch {
    return false;
  }
};

/** What {@link buildApp} is given beside the context. */
export interface AppParts {
  readonly tokens: Tokens;
  readonly version: string;
  /** A listener, plain or with TLS. */
  readonly server: (handler: FastifyServerFactoryHandler) => Server;
}

export async function buildApp(context: Context, { tokens, version, server }: AppParts): Promise<FastifyInstance> {
  const { config, log } = context;
  const app = Fastify({
    loggerInstance: log as FastifyBaseLogger,
    // access-log.ts writes one record instead.
    logController: new LogController({ disableRequestLogging: true }),
    serverFactory: server,
    trustProxy: oneProxy(config.trustedProxies),
    bodyLimit: BODY_LIMIT,
    routerOptions: { maxParamLength: LONGEST_PARAMETER },
    requestIdHeader: false,
    genReqId: ({ headers }) => {
      const given = headers['x-request-id'];
      return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    },
    // A path that cannot be decoded would be answered before limits, headers and log: it is one that does not exist.
    rewriteUrl: ({ url = '/' }) => (isDecodable(url) ? url : '/malformed'),
    frameworkErrors: (error, request, reply) => answerError(error, request, reply),
    // Requests that run are finished; connections that wait for one are closed.
    forceCloseConnections: 'idle',
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  demandContract(app);
  registerErrors(app);

  app.decorateRequest('caller');
  app.addHook('onRequest', async (request, reply) => {
    const { headers } = request.raw;
    const forwarded = forwardedAddress(String(headers['x-forwarded-for'] ?? ''));
    // Without one the caller is the connection's peer.
    if (forwarded === undefined) delete headers['x-forwarded-for'];
    else headers['x-forwarded-for'] = forwarded;
    request.caller = {
      address: addressOf(request.ip, config.auditAddresses),
      network: networkOf(request.ip),
      request: request.id,
    };
    reply.header('x-request-id', request.id);
  });
  registerAccessLog(app, log);
  await registerSecurity(app, config);
  registerBodies(app);
  const limits = await makeLimits(app, context);
  app.addHook('onRequest', async (request) => {
    await limits.address(request);
    const { contract } = request.routeOptions.config;
    if (contract === 'token' || contract === 'login') await limits.login(request);
  });
  registerAuthorisation(app, context, tokens);
  app.addHook('onRequest', async (request) => {
    if (request.caller.account) await limits.account(request);
  });
  const { held } = registerMemory(app, config);
  await registerDocs(app, version);

  registerHealth(app, context);
  registerMetrics(app, held);
  await registerAccounts(app, context, tokens);
  registerKeys(app, context);
  registerDevices(app, context);
  registerModels(app, context);
  registerLeases(app, context);
  registerArchives(app, context);
  registerAudit(app, context);
  registerUpkeep(app, context);
  return app;
}
