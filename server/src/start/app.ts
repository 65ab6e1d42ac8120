/** Assembles the HTTP application: the hooks that every request passes, in order, then the routes of all rooms. */
import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, type FastifyServerFactoryHandler, LogController } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { makeAccess } from '../accounts/access.js';
import { findEmails } from '../accounts/profiles.js';
import { registerAccounts } from '../accounts/routes.js';
import type { Tokens } from '../accounts/tokens.js';
import { registerArchives } from '../archives/routes.js';
import { makeAnswerQueue, registerAudit } from '../audit/routes.js';
import { addressOf, forwardedAddress, networkOf, oneProxy } from '../base/addresses.js';
import { registerDevices } from '../devices/routes.js';
import { registerEntitlements } from '../entitlements/routes.js';
import { registerAccessLog } from '../http/access-log.js';
import { demandContract, registerAuthorisation } from '../http/authorise.js';
import { BODY_LIMIT, registerBodies } from '../http/body.js';
import { registerDocs } from '../http/docs.js';
import { answerError, registerErrors } from '../http/errors.js';
import { registerHealth } from '../http/health.js';
import { registerMemory } from '../http/memory.js';
import { registerMetrics } from '../http/metrics.js';
import { makeRateLimits } from '../http/rate-limits.js';
import { registerSecurity } from '../http/security.js';
import { registerKeys } from '../keys/routes.js';
import { registerLeases } from '../leases/routes.js';
import { registerModels } from '../models/routes.js';
import type { PartsContext } from '../parts/parts.js';
import { registerParts } from '../parts/routes.js';
import { registerSubjects } from '../subjects/routes.js';
import { registerUploads } from '../uploads/routes.js';
import { startCleanup } from './cleanup.js';
import { makeReadinessCheck } from './readiness.js';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
/** Characters; longer than a request head that Node accepts. The contract's shapes bound parameters. */
const LONGEST_PARAMETER = 65_536;

const isDecodable = (url: string): boolean => {
  try {
    decodeURIComponent(url.split('?', 1)[0] ?? '');
    return true;
  } catch {
    return false;
  }
};

/** The parts of {@link buildApp} beside the context. */
export interface AppParts {
  readonly tokens: Tokens;
  readonly version: string;
  /** A listener, plain or with TLS. */
  readonly server: (handler: FastifyServerFactoryHandler) => Server;
}

export async function buildApp(context: PartsContext, { tokens, version, server }: AppParts): Promise<FastifyInstance> {
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
    // Route an undecodable path to a path that does not exist: otherwise it would be answered before limits, headers and log.
    rewriteUrl: ({ url = '/' }) => (isDecodable(url) ? url : '/malformed'),
    frameworkErrors: (error, request, reply) => answerError(error, request, reply),
    // Requests that run are finished; idle connections are closed.
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
    // Without one, the address is that of the connection's peer.
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
  const limits = await makeRateLimits(app, context);
  app.addHook('onRequest', async (request) => {
    await limits.address(request);
    const { contract } = request.routeOptions.config;
    if (contract === 'token' || contract === 'login') await limits.login(request);
  });
  const access = makeAccess(context, tokens);
  registerAuthorisation(app, context.audit, access);
  app.addHook('onRequest', async (request) => {
    if (request.caller.account) await limits.account(request);
  });
  const { held } = registerMemory(app, config);
  await registerDocs(app, version);

  registerHealth(app, makeReadinessCheck(context));
  registerMetrics(app, held);
  await registerAccounts(app, context, tokens);
  registerKeys(app, context);
  registerDevices(app, context);
  registerModels(app, context);
  registerUploads(app, context);
  registerParts(app, context);
  registerEntitlements(app, context);
  registerLeases(app, context);
  registerArchives(app, context);
  const answers = makeAnswerQueue();
  registerAudit(app, context, {
    answers,
    findEmails: (accounts, subject) => findEmails(context, accounts, subject),
    readRights: access.readRights,
  });
  registerSubjects(app, context, answers);
  startCleanup(app, context);
  return app;
}
