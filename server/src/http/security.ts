/** Sets headers that restrict browsers. */
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../base/config.js';

const YEAR = 31_536_000;
const PREFLIGHT_SECONDS = 600;

export async function registerSecurity(app: FastifyInstance, { publicUrl, tls, corsOrigins }: Config): Promise<void> {
  const secure = tls !== undefined || publicUrl.startsWith('https:');
  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    hsts: secure && { maxAge: YEAR, includeSubDomains: true },
    frameguard: { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
  });
  app.addHook('onRequest', async (_request, reply) => {
    // Answers are made for one caller; a shared cache would give them to another.
    reply.header('cache-control', 'no-store');
  });
  // Closed unless origins are named: without these headers no browser gives an answer to another site.
  if (corsOrigins.length > 0)
    await app.register(cors, {
      origin: [...corsOrigins],
      methods: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'],
      allowedHeaders: ['authorization', 'content-type', 'range', 'x-model-guard-proof', 'x-request-id'],
      exposedHeaders: ['retry-after', 'x-request-id', 'content-range'],
      credentials: false,
      maxAge: PREFLIGHT_SECONDS,
    });
}
