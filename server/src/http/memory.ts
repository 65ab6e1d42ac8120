/**
 * Bounds the memory of requests by `--body-memory`: bodies that are being read, and answers that their clients have not read yet.
 */
import type { RouteName } from '@org/model-guard/server-kit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { networkOf } from '../base/addresses.js';
import type { Config } from '../base/config.js';
import { ByteBudget, type Hold } from '../limits/byte-budget.js';
import { BODY_LIMIT, bodyLengthOf } from './body.js';
import { definitions } from './shapes.js';

/** Milliseconds that large bodies wait for memory; a client gives an exchange 30 seconds. */
const PATIENCE_MS = 5_000;
/** Bytes that are held of an answer that is made while it is sent. */
const BATCH = 1024 * 1024;
/** Milliseconds that a client has to read an answer, beside a second for each so many bytes. */
const READING_MS = 30_000;
const READ_BYTES_PER_SECOND = 8 * 1024;

/**
 * Admits bodies before they are read, and answers before they are made. Each account has a share; before log-in each network has
 * one. Short bodies have a quarter of their own, so that large ones delay no log-in.
 */
export function registerMemory(
  app: FastifyInstance,
  { bodyMemory }: Pick<Config, 'bodyMemory'>,
): { readonly held: () => number } {
  const quarter = Math.floor(bodyMemory / 4);
  const large = new ByteBudget({ total: bodyMemory - quarter, share: quarter, patience: PATIENCE_MS });
  const short = new ByteBudget({ total: quarter, share: Math.floor(quarter / 4), patience: 0 });
  const answers = new WeakMap<FastifyRequest, Hold>();
  /** Bytes of the largest answer that a route has given so far. */
  const largest = new Map<RouteName, number>();

  const take = async (request: FastifyRequest, { raw }: FastifyReply, bytes: number): Promise<Hold> => {
    const hold = await (bytes > BODY_LIMIT ? large : short).take(holderOf(request), bytes);
    raw.once('close', () => hold.release());
    if (raw.closed) hold.release();
    return hold;
  };

  app.addHook('preParsing', async (request, reply) => {
    const bytes = bodyLengthOf(request);
    if (bytes > 0) await take(request, reply, bytes);
  });

  app.addHook('preHandler', async (request, reply) => {
    const { contract } = request.routeOptions.config;
    if (contract === undefined) return;
    const { maxAnswer = 0, response } = definitions[contract];
    const bytes = response === 'lines' ? BATCH : (largest.get(contract) ?? maxAnswer);
    if (bytes > BODY_LIMIT) answers.set(request, await take(request, reply, bytes));
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const { contract } = request.routeOptions.config;
    if (contract === undefined || (typeof payload !== 'string' && !Buffer.isBuffer(payload))) return;
    const bytes = Buffer.byteLength(payload);
    if (reply.statusCode < 300 && definitions[contract].maxAnswer !== undefined)
      largest.set(contract, Math.max(bytes, largest.get(contract) ?? 0));
    answers.get(request)?.resize(bytes);
    if (bytes <= BODY_LIMIT) return;
    const allowed = READING_MS + (bytes / READ_BYTES_PER_SECOND) * 1000;
    const late = setTimeout(() => request.raw.socket.destroy(), allowed).unref();
    reply.raw.once('close', () => clearTimeout(late));
  });

  return { held: () => large.held + short.held };
}

const holderOf = ({ caller, ip }: FastifyRequest): string => (caller.account ? `account ${caller.account.id}` : networkOf(ip));
