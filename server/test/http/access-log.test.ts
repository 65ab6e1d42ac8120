/** One record a request. If these fail, logs hold secrets or whole addresses, or cannot be read by machines. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { addressOf, anonymised } from '../../src/base/addresses.js';
import { PASSWORD, startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ config: { behindProxy: 'loopback' } });
});
afterAll(() => server.close());
beforeEach(() => {
  (server.logged as unknown[]).length = 0;
});
const records = () => server.logged.filter(({ msg }) => msg === 'request');

describe('the access log', () => {
  it('has the fields of its contract', async () => {
    const headers = { 'user-agent': 'a'.repeat(300), 'x-request-id': 'abc', 'x-forwarded-for': '203.0.113.77' };
    await server.request('admin', 'listDevices', { query: { limit: 5 }, headers });
    expect(records()).toEqual([
      {
        level: 'info',
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        msg: 'request',
        request_id: 'abc',
        method: 'GET',
        path: '/devices',
        query: { limit: '5' },
        status: 200,
        duration_ms: expect.any(Number),
        client_ip: '203.0.113.0',
        user_agent: 'a'.repeat(120),
      },
    ]);
  });

  it('leaves out signatures and parameters that no route knows', async () => {
    await server.app.inject({ url: `/parts/${'0'.repeat(32)}-0?expires=1&signature=SECRET&token=SECRET&SECRET=1` });
    await server.app.inject({ url: '/nothing?password=SECRET' });
    expect(records()).toHaveLength(2);
    expect(records()[0]).toMatchObject({ query: { expires: '1', signature: '[redacted]', unknown: '[redacted]' } });
    expect(JSON.stringify(server.logged)).not.toContain('SECRET');
  });

  it('has nothing of bodies, passwords and tokens', async () => {
    const body = { email: 'operator@example.com', password: PASSWORD };
    const { token } = (await server.request(undefined, 'token', { body })).json();
    await server.request(undefined, 'account', { headers: { authorization: `Bearer ${token}` } });
    const text = JSON.stringify(server.logged);
    for (const secret of [PASSWORD, token, 'operator@example.com']) expect(text).not.toContain(secret);
  });

  it('has a record of refusals too', async () => {
    await server.app.inject({ method: 'POST', url: '/auth/token', payload: 'x', headers: { 'content-type': 'text/plain' } });
    await server.app.inject({ url: '/users' });
    await server.app.inject({ url: '/users/%zz' });
    const token = await server.token('apiAdmin');
    await server.app.inject({ url: `/users/${token}` });
    await server.app.inject({ url: `/nowhere/${token}` });
    expect(records().map(({ status, path }) => [status, path])).toEqual([
      [415, '/auth/token'],
      [401, '/users'],
      [404, '/users/%zz'],
      [401, '/users/[redacted]'],
      [404, '/nowhere/[redacted]'],
    ]);
  });
});

describe('addresses', () => {
  it.each([
    ['203.0.113.77', '203.0.113.0'],
    ['::ffff:203.0.113.77', '203.0.113.0'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:0'],
    ['2001:db8::abcd', '2001:db8::0'],
    ['fe80::1%eth0', 'fe80::0'],
    ['::1', '::0'],
    ['not an address', ''],
  ])('%s is kept as %s', (address, kept) => {
    expect(anonymised(address)).toBe(kept);
  });

  it('are kept, shortened or left out of the audit log as the policy says', () => {
    const address = '203.0.113.77';
    expect((['keep', 'anonymise', 'omit'] as const).map((policy) => addressOf(address, policy))).toEqual([
      address,
      '203.0.113.0',
      '',
    ]);
  });
});
