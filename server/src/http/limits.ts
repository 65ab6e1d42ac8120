/** How often somebody may ask: per address, per address at log-in, per account. */
import rateLimit from '@fastify/rate-limit';
import type { RouteName } from '@org/model-guard/server-kit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Context } from '../context.js';
import { TooMany } from '../too-many.js';
import { RateWindows } from './rate-windows.js';
import { SharedCounts } from './shared-counts.js';

const MINUTE = 60;
/** Of one holder of an IPv6 network. */
const IPV6_SUBNET = 64;

/** Whether the process lives and can serve is answered whatever the database does. */
const UNSHARED: ReadonlySet<unknown> = new Set<RouteName>(['health', 'ready']);

type Check = (request: FastifyRequest) => Promise<void>;
/** Each throws RATE_LIMITED. */
export interface Limits {
  readonly address: Check;
  readonly login: Check;
  readonly account: Check;
}

export async function makeLimits(app: FastifyInstance, context: Context): Promise<Limits> {
  const { limits, databaseUrl } = context.config;
  await app.register(rateLimit, { global: false, store: RateWindows });
  const common = { timeWindow: MINUTE * 1000, ipv6Subnet: IPV6_SUBNET };
  // A file has one process.
  const shared = databaseUrl === undefined ? undefined : new SharedCounts(context, MINUTE);
  const limit = (what: keyof Limits, keyGenerator?: (request: FastifyRequest) => string): Check => {
    const max = limits[what];
    const count = app.createRateLimit({ ...common, max, ...(keyGenerator && { keyGenerator }) });
    return async (request) => {
      // Whoever is over the limit in this process alone does not reach the database.
      const own = await count(request);
      if (!own.isAllowed && own.isExceeded) throw new TooMany(own.ttlInSeconds);
      if (UNSHARED.has(request.routeOptions.config.contract)) return;
      const all = await shared?.add(what, own.key);
      if (all && all.count > max) throw new TooMany(Math.max(1, all.seconds));
    };
  };
  return {
    address: limit('address'),
    login: limit('login'),
    account: limit('account', (request) => request.caller.account?.id ?? ''),
  };
}
