/** Registers routes of the contract with Fastify. A route that is not registered here does not exist. */
import {
  shapes as contractShapes,
  PROOF_HEADER,
  type RouteAnswer,
  type RouteInput,
  type RouteName,
  routes,
} from '@org/model-guard/server-kit';
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Caller } from '../base/caller.js';
import * as shapes from './shapes.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route of the contract; without it the server does not start. */
    contract?: RouteName;
  }
  interface FastifyRequest {
    caller: Caller;
    /** The bytes of a JSON body as received, which devices sign. */
    rawBody: Buffer;
  }
}

/** The request, beside the checked input of a handler. */
export interface Exchange {
  readonly caller: Caller;
  /** The device's signature, base64url; empty where the route takes none. */
  readonly proof: string;
  /** The body as received. */
  readonly raw: Buffer;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}
type Answer<Name extends RouteName> = RouteAnswer<Name> extends undefined ? unknown : RouteAnswer<Name>;
/** Answers one route. Streams and text are sent through `reply`. */
export type Handler<Name extends RouteName> = (input: RouteInput<Name> & Exchange) => Promise<Answer<Name>>;

/** Handlers that {@link implement} made. */
const implemented = new WeakSet<object>();
export const isImplemented = (handler: object): boolean => implemented.has(handler);
/** Whether requests of this method change nothing. */
export const isReading = (method: string): boolean => method === 'GET' || method === 'HEAD';

/**
 * Registers `name` with its method, path, limits and shapes. A change by an account fails unless its rights were read again
 * during it, by the audit log's event or by `confirmRights`.
 */
export function implement<Name extends RouteName>(app: FastifyInstance, name: Name, handler: Handler<Name>): void {
  const definition: (typeof shapes.definitions)[RouteName] = routes[name];
  const accounts = definition.access !== 'open' && definition.access !== 'signed-url';
  const options = {
    method: definition.method,
    url: definition.path,
    schema: shapes.schemaOf(name),
    config: { contract: name },
    ...(definition.maxBody !== undefined && { bodyLimit: definition.maxBody }),
    handler: async (request: FastifyRequest, reply: FastifyReply) => {
      const { params, query, body, caller, rawBody } = request;
      const proof = definition.proof ? contractShapes.signature.parse(request.headers[PROOF_HEADER]) : '';
      const input = { params, query, body, caller, raw: rawBody, proof, request, reply };
      const answer = await handler(input as unknown as RouteInput<Name> & Exchange);
      if (accounts && !isReading(definition.method) && !caller.rights?.confirmed)
        throw new TypeError(`${name} changed something without reading the rights of its caller again`);
      if (reply.sent) return reply;
      reply.code(definition.status);
      return definition.status === 204 ? reply.send() : answer;
    },
  } satisfies RouteOptions;
  implemented.add(options.handler);
  app.route(options);
}
