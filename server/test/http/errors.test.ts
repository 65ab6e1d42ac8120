/** Refusals and their answers. If these fail, hostile bodies reach the rooms, or answers tell too much. */
import { request as plainRequest } from 'node:http';
import { ERROR_CODES, ModelGuardError, type ModelGuardErrorCode, shapes } from '@org/model-guard/server-kit';
import Fastify, { type LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HttpResponse } from '../../../src/http/response.js';
import { failureOf, isAnswer } from '../../../src/remote/http/failures.js';
import { outcomeOf } from '../../src/audit/record-refusals.js';
import { MissingKeyError } from '../../src/base/missing-key.js';
import { registerErrors } from '../../src/http/errors.js';
import { startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
  await server.listen();
});
afterAll(() => server.close());

const post = (payload: string | Buffer, headers: Record<string, string> = {}) =>
  server.app.inject({ method: 'POST', url: '/auth/token', payload, headers: { 'content-type': 'application/json', ...headers } });
const problem = (answer: LightMyRequestResponse) => shapes.failure.strict().parse(answer.json()).error;

describe('a request that is not JSON within bounds', () => {
  it.each<[string, string | Buffer]>([
    ['is cut off', '{"email":'],
    ['is empty', ''],
    ['is no UTF-8', Buffer.from([0x22, 0xff, 0xfe, 0x22])],
    ['has a byte order mark', '\ufeff{}'],
    ['is 33 deep', '['.repeat(33) + ']'.repeat(33)],
    ['is 30,000 deep', '['.repeat(30_000)],
    ['is deep behind a string of brackets', `["]]]]\\"]]",${'['.repeat(40)}`],
    ['poisons a prototype', '{"email":"a@b.c","password":"x","__proto__":{"role":"apiAdmin"}}'],
    ['poisons with an escape', '{"\\u005f_proto__":{}}'],
    ['poisons a constructor', '{"email":"a@b.c","password":{"constructor":{"prototype":{"x":1}}}}'],
    ['is a list', '[]'],
    ['is null', 'null'],
    ['is a number too large', '1e999'],
  ])('%s: 400', async (_what, payload) => {
    const answer = await post(payload);
    expect(answer.statusCode).toBe(400);
    expect(problem(answer).code).toBe('INVALID_ARGUMENT');
    expect(({} as { role?: string }).role).toBeUndefined();
  });

  it('takes brackets within strings, escapes and duplicate names for what they are', async () => {
    const answer = await post(`{"email":"a@b.c","password":"wrong","password":"${'[{'.repeat(100)}\\\\\\""}`);
    expect(problem(answer).code).toBe('NOT_AUTHENTICATED');
  });

  it('that is too long: 413', async () => {
    const long = await post(JSON.stringify({ email: 'a@b.c', password: 'x'.repeat(70_000) }));
    expect(long.statusCode).toBe(413);
    expect(problem(long).code).toBe('LIMIT_EXCEEDED');
  });

  it.each([
    'text/plain',
    'application/octet-stream',
    'multipart/form-data; boundary=x',
    'application/x-www-form-urlencoded',
    'nonsense',
  ])('of the type %s: 415', async (type) => {
    const answer = await post('{}', { 'content-type': type });
    expect(answer.statusCode).toBe(415);
    expect(problem(answer).code).toBe('INVALID_ARGUMENT');
  });
});

describe('octets', () => {
  const url = `/models/m/versions/v/parts/${'0'.repeat(32)}-0`;
  const upload = async (headers: Record<string, string>, chunks: number) => {
    const { port } = new URL(server.url);
    const authorization = `Bearer ${await server.token('apiAdmin')}`;
    return new Promise<number>((resolve, reject) => {
      const sent = plainRequest({ port, path: url, method: 'PUT', headers: { authorization, ...headers } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      });
      // The server may close while we still write: the answer counts.
      sent.on('error', (error: NodeJS.ErrnoException) => error.code !== 'EPIPE' && error.code !== 'ECONNRESET' && reject(error));
      for (let chunk = 0; chunk < chunks; chunk++) sent.write(Buffer.alloc(1024));
      sent.end();
    });
  };

  it('of another type, or none: 415', async () => {
    expect(await upload({ 'content-type': 'application/json' }, 1)).toBe(415);
    expect(await upload({ 'content-type': 'text/plain' }, 1)).toBe(415);
    expect(await upload({}, 0)).toBe(415);
  });

  it('that announce too much are refused before they come: 413', async () => {
    expect(await upload({ 'content-type': 'application/octet-stream', 'content-length': String(2 ** 41) }, 1)).toBe(413);
  });
});

describe('a refusal', () => {
  it.each<[string, object, string]>([
    ['is missing', { email: 'a@b.c' }, 'password'],
    ['has the wrong type', { email: 7, password: 'x' }, 'email'],
    ['is not known', { email: 'a@b.c', password: 'x', role: 'apiAdmin' }, 'role'],
    ['is too long', { email: 'a@b.c', password: 'x'.repeat(1025) }, 'password'],
  ])('names the field that %s', async (_what, body, path) => {
    const error = problem(await post(JSON.stringify(body)));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', path });
    expect(error.message).not.toContain('xxxx');
  });

  it('names fields of path and query', async () => {
    const user = await server.request('apiAdmin', 'getUser', { params: { account: '../../etc/passwd' } });
    expect(problem(user)).toMatchObject({ code: 'INVALID_ARGUMENT', path: 'params.account' });
    const users = await server.request('apiAdmin', 'listUsers', { query: { limit: 5000 } });
    expect(problem(users)).toMatchObject({ code: 'INVALID_ARGUMENT', path: 'query.limit' });
  });

  it('has one shape for routes that do not exist, methods that do not, and paths that are none', async () => {
    for (const [method, url, status] of [
      ['GET', '/nothing', 404],
      ['DELETE', '/auth/token', 404],
      ['GET', '/users/%zz', 404],
      ['GET', '/users/%ff%fe', 404],
      ['GET', `/users/${'a'.repeat(10_000)}`, 401],
      ['GET', '/docs/../users', 401],
      ['GET', '/parts/..%2f..%2fetc%2fpasswd', 400],
    ] as const) {
      const answer = await server.app.inject({ method, url });
      expect(answer.statusCode, `${method} ${url}`).toBe(status);
      expect(problem(answer).request).toBe(answer.headers['x-request-id']);
    }
  });

  it('of a fault says nothing but the request id; the log has the stack', async () => {
    const faulty = await startTestServer();
    try {
      await faulty.context.db.schema.dropTable('login_failures').execute();
      const body = { email: 'secret-address@example.com', password: 'secret password' };
      const answer = await faulty.request(undefined, 'token', { body });
      expect(answer.statusCode).toBe(500);
      const { code, message, request } = problem(answer);
      expect({ code, message }).toEqual({ code: 'SERVER_FAILED', message: expect.not.stringMatching(/table|sql/i) });
      const logged = faulty.logged.find((record) => record.msg === 'failed');
      expect(logged).toMatchObject({ request_id: request, err: { stack: expect.stringContaining('login_failures') } });
      expect(JSON.stringify(faulty.logged)).not.toMatch(/secret/);
    } finally {
      await faulty.close();
    }
  });
});

describe('a code', () => {
  /** Written by hand. Every code that is not here is the server's own affair: 500, and nothing of its message. */
  const TOLD: Readonly<Record<number, string>> = {
    400: `INVALID_ARGUMENT NAME_INVALID PASSWORD_WEAK KEY_INVALID KEY_TYPE_WRONG NOT_A_CONTAINER CONTAINER_TRUNCATED
      CONTAINER_MALFORMED VERSION_UNSUPPORTED CRITICAL_UNSUPPORTED MANIFEST_INVALID`,
    401: 'NOT_AUTHENTICATED',
    403: 'NOT_AUTHORISED DEVICE_NOT_APPROVED DEVICE_REVOKED PROOF_INVALID',
    404: 'NOT_FOUND',
    409: `ALREADY_EXISTS SEATS_TAKEN NOT_RELEASED ROLLBACK_REFUSED AUDIT_LOG_ROLLED_BACK REVIEW_OUTDATED REFERENCE_MISMATCH PARTS_MISMATCH
      SIGNATURE_MISSING SIGNATURE_INVALID DIGEST_MISMATCH INTEGRITY_FAILED NO_MATCHING_IDENTITY`,
    413: 'LIMIT_EXCEEDED',
    429: 'RATE_LIMITED',
    // The storage of big parts.
    503: 'SERVER_UNREACHABLE',
  };
  const statuses = new Map(
    Object.entries(TOLD).flatMap(([status, codes]) => codes.split(/\s+/).map((code) => [code, Number(status)] as const)),
  );
  const CODES = Object.keys(ERROR_CODES) as ModelGuardErrorCode[];

  it('has one status, and is told only where it is the caller’s to know', async () => {
    const app = Fastify();
    registerErrors(app);
    for (const code of CODES)
      app.get(`/${code}`, async () => {
        throw new ModelGuardError(code, 'the inside of the server');
      });
    for (const code of CODES) {
      const answer = await app.inject({ url: `/${code}` });
      const status = statuses.get(code) ?? 500;
      // A disk without room is the caller's to know, but not which one it is.
      if (code === 'NO_SPACE') {
        expect([answer.statusCode, answer.json().error.code]).toEqual([413, 'LIMIT_EXCEEDED']);
        expect(answer.body).not.toContain('the inside of the server');
        continue;
      }
      expect([code, answer.statusCode]).toEqual([code, status]);
      expect(answer.json().error.code).toBe(status < 500 ? code : 'SERVER_FAILED');
      expect(answer.body.includes('the inside of the server')).toBe(status < 500);
      // Codes that clients do not know as the server's count as the page of a proxy.
      const bytes = async () => Buffer.from(answer.body);
      const told = await failureOf({ status: answer.statusCode, headers: answer.headers as HttpResponse['headers'], bytes }, 0);
      if (status < 500 && status !== 429) expect([told.code, isAnswer(told)]).toEqual([code, true]);
    }
    await app.close();
    for (const code of statuses.keys()) expect(CODES).toContain(code);
  });

  it('is a denial in the audit log where a right or a state of a right is missing, else a failure', () => {
    const denied =
      `NOT_AUTHENTICATED NOT_AUTHORISED NOT_FOUND PROOF_INVALID DEVICE_NOT_APPROVED DEVICE_REVOKED NOT_RELEASED SEATS_TAKEN
      ROLLBACK_REFUSED AUDIT_LOG_ROLLED_BACK SIGNATURE_INVALID SIGNATURE_MISSING`.split(/\s+/);
    expect(CODES.filter((code) => outcomeOf(new ModelGuardError(code, 'x')) === 'denied').sort()).toEqual(denied.sort());
    expect(outcomeOf(new MissingKeyError('encryption', 'key', ['/keys']))).toBe('failure');
  });
});

it('does not blame the caller for what is stored in another shape', async () => {
  const { db, audit } = server.context;
  await audit.record({ action: 'keys.remove', outcome: 'success', caller: { address: '', request: 'r' } });
  await db
    .updateTable('audit')
    .set({ bytes: Buffer.from('{}') })
    .where('action', '=', 'keys.remove')
    .execute();
  const answer = await server.request('admin', 'auditEvents', { query: { action: 'keys' } });
  expect(answer.statusCode).toBe(500);
  expect(problem(answer).code).toBe('SERVER_FAILED');
});

describe('request ids', () => {
  const idOf = async (given: string) =>
    (await server.app.inject({ url: '/health', headers: { 'x-request-id': given } })).headers['x-request-id'];
  it('are taken from the client if they are harmless', async () => {
    expect(await idOf('abc-DEF_1.2')).toBe('abc-DEF_1.2');
    for (const bad of ['', 'a b', 'x'.repeat(65), '{"a":1}', "'; DROP TABLE users; --"]) {
      expect(await idOf(bad)).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});
