/** Authorisation of routes. If these fail, a route can be added without any check of rights. */
import type { AuditAction } from '@org/model-guard/server-kit';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demandContract } from '../../src/http/authorise.js';
import { auditEvents, startTestServer, type TestServer } from '../support/server.js';

describe('a route that is not in the contract', () => {
  it.each(['/undeclared', '/documents', '/docsx'])('does not start: %s', (url) => {
    const app = Fastify();
    demandContract(app);
    expect(() => app.get(url, async () => 'open to all')).toThrow(/declares no access/);
  });

  it('does not start under a name that the contract does not know', () => {
    const app = Fastify();
    demandContract(app);
    const config = { contract: 'toString' as 'health' };
    expect(() => app.get('/x', { config }, async () => 'open to all')).toThrow(/declares no access/);
  });
});

describe('authorisation', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.close());

  const events = async (action: AuditAction) =>
    (await auditEvents(server, { action })) as {
      outcome: string;
      resource: string;
      personal?: { detail?: string };
    }[];

  it('guards HEAD like GET', async () => {
    expect((await server.app.inject({ method: 'HEAD', url: '/users' })).statusCode).toBe(401);
    expect((await server.app.inject({ method: 'HEAD', url: '/health' })).statusCode).toBe(200);
  });

  it('takes the scheme in any case, and no other scheme', async () => {
    const token = await server.token('none');
    const status = async (authorization: string) =>
      (await server.request(undefined, 'account', { headers: { authorization } })).statusCode;
    expect(await status(`bearer ${token}`)).toBe(200);
    for (const wrong of [
      token,
      `Basic ${token}`,
      `Bearer ${token} x`,
      `Bearer ${token},${token}`,
      'Bearer',
      `Bearer ${'a'.repeat(5000)}.b.c`,
    ])
      expect(await status(wrong), wrong.slice(0, 40)).toBe(401);
  });

  it('writes down what was denied', async () => {
    await server.request('operator', 'listUsers', { query: {} });
    expect(await events('authz.denied')).toEqual([
      expect.objectContaining({
        outcome: 'denied',
        resource: 'route:listUsers',
        personal: expect.objectContaining({ account: server.accounts.operator.id }),
      }),
    ]);
  });

  it('tells a permission that is missing from a token that was made under another role', async () => {
    const { db } = server.context;
    const told = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await server.request(undefined, 'listUsers', { query: {}, headers });
      return [answer.statusCode, answer.headers['www-authenticate']];
    };
    const before = await server.token('validator');
    expect(await told(before)).toEqual([403, 'Bearer error="insufficient_scope"']);
    const change = (role: 'operator' | 'validator') =>
      db.updateTable('users').set({ role }).where('id', '=', server.accounts.validator.id).execute();
    await change('operator');
    try {
      expect(await told(before)).toEqual([403, undefined]);
      expect(await told(await server.token('validator'))).toEqual([403, 'Bearer error="insufficient_scope"']);
    } finally {
      await change('validator');
    }
    expect(await told('a.b.c')).toEqual([401, 'Bearer']);
  });

  it('writes down forged tokens, a few in a minute', async () => {
    const forge = () => server.request(undefined, 'account', { headers: { authorization: 'Bearer a.b.c' } });
    const before = (await events('auth.token')).length;
    server.clock.advance(61);
    for (let count = 0; count < 35; count++) expect((await forge()).statusCode).toBe(401);
    expect((await events('auth.token')).length - before).toBe(20);
    server.clock.advance(61);
    await forge();
    const [newest] = (await events('auth.token')).filter(({ personal }) => personal?.detail?.includes('15 more'));
    expect(newest).toMatchObject({ outcome: 'failure' });
  });

  it('can be switched off in development: every request is the first administrator', async () => {
    const open = await startTestServer({ config: { authentication: false } });
    try {
      expect((await open.request(undefined, 'account')).json()).toMatchObject({ role: 'apiAdmin' });
      expect((await open.request(undefined, 'listUsers', { query: {} })).statusCode).toBe(200);
    } finally {
      await open.close();
    }
  });
});
