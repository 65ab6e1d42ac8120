/** Ten thousand generated requests, as every role: no 5xx, nothing unhandled, and every answer as the OpenAPI document says. */
import diagnostics from 'node:diagnostics_channel';
import { ROLES, type Role, type RouteName, routes } from '@org/model-guard/server-kit';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { print } from '../../../test/support/print.js';
import { scaled } from '../../../test/support/sample.js';
import { type Random, seeded } from '../../../test/support/seed.js';
import { invalidText, invalidValue, type Pool, validValue } from '../support/generated-requests.js';
import { type DocumentedOperation, OpenApi } from '../support/openapi.js';
import { startTestServer, type TestServer } from '../support/server.js';

const REQUESTS = scaled(10_000, 1000);
const AT_LEAST_EACH = scaled(50, 5);
/** So many of a hundred requests have something wrong. */
const BROKEN_PERCENT = 25;

/** URLs cannot carry half of a surrogate pair. */
const wellFormed = (text: string): string => text.replace(/\p{Cs}/gu, '\ufffd');

interface Handled {
  readonly request: { readonly routeOptions: { readonly config: { readonly contract?: RouteName } } };
}

describe('generated requests', () => {
  let server: TestServer;
  let document: OpenApi;
  const tokens = new Map<Role, string>();
  const reached = new Map<RouteName, number>();
  const unhandled: unknown[] = [];
  const count = (message: unknown) => {
    const name = (message as Handled).request.routeOptions.config.contract;
    if (name) reached.set(name, (reached.get(name) ?? 0) + 1);
  };
  const note = (reason: unknown) => void unhandled.push(reason);

  beforeAll(async () => {
    server = await startTestServer({ config: { logLevel: 'silent' } });
    document = await OpenApi.of(server);
    for (const role of ROLES) tokens.set(role, await server.token(role));
    diagnostics.subscribe('tracing:fastify.request.handler:start', count);
    process.on('unhandledRejection', note);
  });
  afterAll(async () => {
    diagnostics.unsubscribe('tracing:fastify.request.handler:start', count);
    process.off('unhandledRejection', note);
    await server.close();
  });

  /** Some of everything, so that generated requests find something; the accounts that ask are not among it. */
  async function populate(random: Random): Promise<Pool> {
    const pool = new Map<string, string[]>([
      ['name', ['defects', 'sounds', 'videos']],
      ['version', ['1', '2']],
    ]);
    const keep = (key: string, answer: LightMyRequestResponse) => {
      if (answer.statusCode < 300) pool.set(key, [...(pool.get(key) ?? []), answer.json().id]);
    };
    const make = async (id: RouteName, key: string) => {
      const body = validValue(document.operation(id).requestBody?.content?.['application/json']?.schema ?? {}, '', random, pool);
      keep(key, await server.request('apiAdmin', id, { body } as never));
    };
    for (let i = 0; i < 8; i += 1) await make('createUser', 'account');
    for (let i = 0; i < 8; i += 1) await make('createEntitlement', 'entitlement');
    return pool;
  }

  async function send(operation: DocumentedOperation, role: Role, random: Random, pool: Pool): Promise<LightMyRequestResponse> {
    const wrong = random.integer(100) < BROKEN_PERCENT;
    const schema = operation.requestBody?.content?.['application/json']?.schema;
    const spoilt = wrong ? random.pick(['body', 'path', 'query', 'type', 'length'] as const) : undefined;
    const parameter = (place: string) => (operation.parameters ?? []).filter((one) => one.in === place);
    let url = operation.path;
    for (const { name, schema: of } of parameter('path')) {
      const value = spoilt === 'path' ? invalidText(random) : String(validValue(of, name, random, pool));
      url = url.replace(`{${name}}`, encodeURIComponent(wellFormed(value)));
    }
    const query: Record<string, string> = {};
    for (const { name, schema: of, required } of parameter('query')) {
      if (name === 'cursor' || (!required && random.integer(3) > 0)) continue;
      query[name] = spoilt === 'query' ? wellFormed(invalidText(random)) : String(validValue(of, name, random, pool));
    }
    if (spoilt === 'query') query.unknown = '1';
    const headers: Record<string, string> = { authorization: `Bearer ${tokens.get(role)}` };
    for (const { name, schema: of } of parameter('header')) headers[name] = String(validValue(of, name, random, pool));
    const fits = schema && validValue(schema, '', random, pool);
    const body = spoilt === 'body' && fits !== undefined ? invalidValue(fits, random) : fits;
    if (routes[operation.operationId as RouteName].access === 'open') delete headers.authorization;
    const octets = (routes[operation.operationId as RouteName] as { readonly body?: unknown }).body === 'octets';
    const payload = octets
      ? Buffer.from(random.bytes(random.integer(4096)))
      : body === undefined
        ? undefined
        : JSON.stringify(body);
    if (payload !== undefined) headers['content-type'] = octets ? 'application/octet-stream' : 'application/json';
    if (spoilt === 'type')
      headers['content-type'] = random.pick(['text/xml', 'application/x-www-form-urlencoded', 'nonsense', '']);
    if (spoilt === 'length' && payload !== undefined) headers['content-length'] = String(random.integer(10_000));
    const judged = document.bodyFault(operation.operationId, body);
    if (!wrong) expect(judged, `${operation.operationId}: a request that fits is refused by the document`).toBeUndefined();
    return server.app.inject({
      method: operation.method as 'GET',
      url,
      query,
      headers,
      ...(payload !== undefined && { payload }),
    });
  }

  it(`leave no 5xx, no unhandled rejection and no undocumented answer in ${REQUESTS} tries`, async () => {
    const random = seeded('generated requests');
    const pool = await populate(random);
    const statuses = new Map<number, number>();
    const faults: string[] = [];
    for (let i = 0; i < REQUESTS; i += 1) {
      const operation = document.operations[i % document.operations.length] as DocumentedOperation;
      const { access } = routes[operation.operationId as RouteName];
      // Roles with more rights come twice as often, so that most requests get past the permission table.
      const role = random.integer(4) === 0 || access === 'open' ? random.pick(ROLES) : 'apiAdmin';
      const answer = await send(operation, role, random, pool);
      statuses.set(answer.statusCode, (statuses.get(answer.statusCode) ?? 0) + 1);
      const fault = answer.statusCode >= 500 ? answer.body : document.answerFault(operation.operationId, answer);
      if (fault) faults.push(`${operation.operationId} as ${role}: ${answer.statusCode} ${fault.slice(0, 300)}`);
    }
    const total = [...reached.values()].reduce((sum, one) => sum + one, 0);
    const least = document.operations.map(({ operationId }) => reached.get(operationId as RouteName) ?? 0);
    const shown = [...statuses].sort(([a], [b]) => a - b).map(([status, times]) => `${status}: ${times}`);
    print(
      `fuzz: ${REQUESTS} requests, ${total} reached a handler, every route at least ${Math.min(...least)} times; ${shown.join(', ')}`,
    );
    expect([...new Set(faults)].slice(0, 20)).toEqual([]);
    expect(unhandled).toEqual([]);
    expect(total).toBeGreaterThanOrEqual(REQUESTS / 2);
    for (const { operationId } of document.operations)
      expect(reached.get(operationId as RouteName) ?? 0, operationId).toBeGreaterThanOrEqual(AT_LEAST_EACH);
  });
});
