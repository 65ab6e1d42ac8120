/** Limits requests in a minute: by address, by address at log-in, and by account. */
import rateLimit from '@fastify/rate-limit';
import type { RouteName } from '@org/model-guard/server-kit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Context } from '../context.js';
import { RateLimitError } from '../limits/rate-limit-error.js';
import { RateWindows } from './rate-windows.js';
import { forgetCounts, SharedCounts } from './shared-counts.js';

const MINUTE = 60;
/** Bits of an IPv6 network that one holder has. */
const IPV6_SUBNET = 64;

/** Routes that are answered whatever the database does. */
const UNSHARED: ReadonlySet<unknown> = new Set<RouteName>(['health', 'ready']);

type Check = (request: FastifyRequest) => Promise<void>;
/** Each throws RATE_LIMITED. */
export interface RateLimits {
  readonly address: Check;
  readonly login: Check;
  readonly account: Check;
}

export async function makeRateLimits(app: FastifyInstance, context: Context): Promise<RateLimits> {
  const { limits, databaseUrl } = context.config;
  await app.register(rateLimit, { global: false, store: RateWindows });
  const common = { timeWindow: MINUTE * 1000, ipv6Subnet: IPV6_SUBNET };
  // A database file has one process.
  const shared = databaseUrl === undefined ? undefined : new SharedCounts(context, MINUTE);
  if (shared) context.cleanup.add(() => forgetCounts(context.db));
  const limit = (what: keyof RateLimits, keyGenerator?: (request: FastifyRequest) => string): Check => {
    const max = limits[what];
    const count = app.createRateLimit({ ...common, max, ...(keyGenerator && { keyGenerator }) });
    return async (request) => {
      // A caller that exceeds the limit in this process alone does not reach the database.
      const own = await count(request);
      if (!own.isAllowed && own.isExceeded) throw new RateLimitError(own.ttlInSeconds);
      if (UNSHARED.has(request.routeOptions.config.contract)) return;
      const all = await shared?.add(what, own.key);
      if (all && all.count > max) throw new RateLimitError(Math.max(1, all.seconds));
    };
  };
  return {
    address: limit('address'),
    login: limit('login'),
    account: limit('account', (request) => request.caller.account?.id ?? ''),
  };
}
