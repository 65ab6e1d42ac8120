/** The contract as Fastify's schemas, which validate, serialise and document. */
import { PROOF_HEADER, type Route, type RouteName, routes, shapes } from '@org/model-guard/server-kit';
import { z } from 'zod';

export const definitions: Readonly<Record<RouteName, Route>> = routes;

const proofHeader = z.object({ [PROOF_HEADER]: shapes.signature });
const REFUSALS = [400, 401, 403, 404, 409, 413, 414, 415, 416, 429, 500, 503] as const;

/** Streams are neither parsed nor serialised, so they have no schema for the validator. */
const isShape = (value: Route['body'] | Route['response']): value is z.ZodType =>
  value !== undefined && typeof value !== 'string';

export function schemaOf(name: RouteName) {
  const { summary, params, query, body, proof, response, status, access } = definitions[name];
  return {
    summary,
    operationId: name,
    security: access === 'open' || access === 'signed-url' ? [] : [{ token: [] }],
    ...(params && { params }),
    ...(query && { querystring: query }),
    ...(isShape(body) && { body }),
    ...(proof && { headers: proofHeader }),
    response: {
      [status]: isShape(response) ? response : z.any().describe(typeof response === 'string' ? response : 'no content'),
      ...Object.fromEntries(REFUSALS.map((code) => [code, shapes.failure])),
    },
  };
}
