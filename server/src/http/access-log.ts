/**
 * Logs one record for each request. The field names are a contract with the log's readers. Bodies and headers other than the user
 * agent are not logged.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { anonymised } from '../base/addresses.js';
import { definitions } from './shapes.js';

const LONGEST_AGENT = 120;
const LONGEST_PATH = 512;
const MOST_PARAMETERS = 32;
const REDACTED = '[redacted]';
/** Parameters that are never logged: signatures are secret, and a token would pass for a cursor. */
const OPAQUE: ReadonlySet<string> = new Set(['signature', 'cursor']);
/**
 * Runs of a token's characters. Matching takes one pass over a path of any length; a pattern of a whole token would backtrack at
 * every character.
 */
const RUN = /[\w.-]{34,}/g;
const PART_OF_TOKEN = 16;
/** Status of a request whose client closed the connection. */
const CLOSED = 499;

export function registerAccessLog(app: FastifyInstance, log: Logger): void {
  const noted = new WeakSet<FastifyRequest>();
  const note = (request: FastifyRequest, status: number, milliseconds: number): void => {
    if (noted.has(request)) return;
    noted.add(request);
    const { method, id, ip, headers } = request;
    log.info(
      {
        request_id: id,
        method,
        path: pathOf(request).slice(0, LONGEST_PATH),
        query: queryOf(request),
        status,
        duration_ms: Math.round(milliseconds * 1000) / 1000,
        client_ip: anonymised(ip),
        user_agent: (headers['user-agent'] ?? '').slice(0, LONGEST_AGENT),
      },
      'request',
    );
  };
  app.addHook('onResponse', async (request: FastifyRequest, reply: FastifyReply) => {
    note(request, reply.statusCode, reply.elapsedTime);
  });
  app.addHook('onRequestAbort', async (request) => note(request, CLOSED, 0));
}

/**
 * The path as requested, without parameters that the route does not take, and without text that looks like a token: it may be a
 * secret in the wrong place.
 */
function pathOf({ originalUrl, routeOptions, params }: FastifyRequest): string {
  const { contract } = routeOptions.config;
  const { path, params: shapes } = contract === undefined ? {} : definitions[contract];
  if (path === undefined || !shapes)
    return (originalUrl.split('?', 1)[0] ?? '').replace(RUN, (run) => (holdsToken(run) ? REDACTED : run));
  const given = params as Readonly<Record<string, string>>;
  return path.replace(/:([a-z]+)/g, (_all, name: string) => {
    const taken = shapes.shape[name]?.safeParse(given[name]);
    return taken?.success ? String(taken.data) : REDACTED;
  });
}

/** Whether the run holds three parts between full stops, the first two of them long. */
const holdsToken = (run: string): boolean =>
  run
    .split('.')
    .some(
      (part, at, { length: parts, [at + 1]: next = '' }) =>
        at + 2 < parts && part.length >= PART_OF_TOKEN && next.length >= PART_OF_TOKEN,
    );

/** Parameters that the route knows and takes; any other may be a secret. */
function queryOf({ originalUrl: url, routeOptions }: FastifyRequest): Record<string, string> {
  const at = url.indexOf('?');
  if (at === -1) return {};
  const { contract } = routeOptions.config;
  const known = contract === undefined ? undefined : definitions[contract].query?.shape;
  const given = [...new URLSearchParams(url.slice(at))].slice(0, MOST_PARAMETERS);
  return Object.fromEntries(
    given.map(([name, value]) => {
      const shape = known && Object.hasOwn(known, name) ? known[name] : undefined;
      if (!shape) return ['unknown', REDACTED];
      const told = !OPAQUE.has(name) && shape.safeParse(value).success;
      return [name, told ? value.slice(0, LONGEST_PATH) : REDACTED];
    }),
  );
}
