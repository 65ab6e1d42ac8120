/** How often somebody may ask: per address, per address at log-in, per account. */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Config } from '../config.js';
import { TooMany } from '../too-many.js';

const MINUTE_MS = 60_000;
/** Of one holder of an IPv6 network. */
const IPV6_SUBNET = 64;
const REMEMBERED = 20_000;

type Check = (request: FastifyRequest) => Promise<void>;
/** Each throws RATE_LIMITED. */
export interface Limits {
  readonly address: Check;
  readonly login: Check;
  readonly account: Check;
}

export async function makeLimits(app: FastifyInstance, { address, login, account }: Config['limits']): Promise<Limits> {
  await app.register(rateLimit, { global: false });
  const common = { timeWindow: MINUTE_MS, ipv6Subnet: IPV6_SUBNET, cache: REMEMBERED };
  const limit = (max: number, keyGenerator?: (request: FastifyRequest) => string): Check => {
    const count = app.createRateLimit({ ...common, max, ...(keyGenerator && { keyGenerator }) });
    return async (request) => {
      const result = await count(request);
      if (!result.isAllowed && result.isExceeded) throw new TooMany(result.ttlInSeconds);
    };
  };
  return {
    address: limit(address),
    login: limit(login),
    account: limit(account, (request) => request.caller.account?.id ?? ''),
  };
}
