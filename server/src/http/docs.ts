/** Serves the OpenAPI document, generated from the contract, and a page that shows it. */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { type RouteName, routes } from '@org/model-guard/server-kit';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform } from 'fastify-type-provider-zod';
import { definitions } from './shapes.js';

export const DOCS = '/docs';
const MEDIA = { octets: 'application/octet-stream', lines: 'application/jsonl', text: 'text/plain' } as const;
const binary = { type: 'string', format: 'binary' };

interface Operation {
  operationId?: string;
  requestBody?: unknown;
  responses?: Record<string, { description?: string; content?: unknown }>;
  description?: string;
}
type Paths = Record<string, Record<string, Operation>>;

export async function registerDocs(app: FastifyInstance, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Guard server',
        version,
        description: 'Keeps the small parts of protected models and leases them to approved machines.',
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } } },
    },
    transform: jsonSchemaTransform,
    transformObject: (document) => {
      if (!('openapiObject' in document)) return document.swaggerObject;
      describeStreams((document.openapiObject.paths ?? {}) as Paths);
      return document.openapiObject;
    },
  });
  await app.register(swaggerUi, {
    routePrefix: DOCS,
    staticCSP:
      "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  });
}

/** Documents streams and permissions, for which the validator has no shape. */
function describeStreams(paths: Paths): void {
  for (const operation of Object.values(paths).flatMap((path) => Object.values(path))) {
    const name = operation.operationId as RouteName | undefined;
    if (name === undefined || !Object.hasOwn(routes, name)) continue;
    const { body, response, status, access } = definitions[name];
    operation.description = access === 'open' ? 'Open.' : access === 'signed-url' ? 'By a signed URL.' : `Permission: ${access}.`;
    if (body === 'octets') operation.requestBody = { required: true, content: { [MEDIA.octets]: { schema: binary } } };
    const answer = operation.responses?.[status];
    if (!answer) continue;
    if (response === undefined) delete answer.content;
    else if (typeof response === 'string')
      answer.content = { [MEDIA[response]]: { schema: response === 'octets' ? binary : { type: 'string' } } };
  }
}
