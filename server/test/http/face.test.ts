/** Headers, other sites, limits, metrics and documentation. */
import { afterEach, describe, expect, it } from 'vitest';
import { definitions } from '../../src/http/shapes.js';
import { PASSWORD, startTestServer, type TestServer } from '../support/server.js';

const open: TestServer[] = [];
const start = async (config: Parameters<typeof startTestServer>[0] = {}): Promise<TestServer> => {
  const server = await startTestServer(config);
  open.push(server);
  return server;
};
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

describe('security headers', () => {
  it('stand on every answer', async () => {
    const server = await start({ config: { publicUrl: 'https://guard.example.com' } });
    for (const url of ['/health', '/users', '/nothing', '/docs/json', '/users/%zz']) {
      const { headers } = await server.app.inject({ url });
      expect(headers, url).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'strict-transport-security': 'max-age=31536000; includeSubDomains',
        'content-security-policy': expect.stringContaining("default-src '"),
        'cache-control': 'no-store',
        'x-request-id': expect.any(String),
      });
      expect(headers).not.toHaveProperty('x-powered-by');
    }
  });

  it('promise no TLS where there is none', async () => {
    const server = await start();
    expect((await server.app.inject({ url: '/health' })).headers).not.toHaveProperty('strict-transport-security');
  });
});

describe('other sites', () => {
  const ask = (server: TestServer, origin: string) =>
    server.app.inject({ method: 'OPTIONS', url: '/users', headers: { origin, 'access-control-request-method': 'GET' } });

  it('may do nothing by default', async () => {
    const server = await start();
    expect((await ask(server, 'https://evil.example')).statusCode).toBe(404);
    const answer = await server.app.inject({ url: '/health', headers: { origin: 'https://evil.example' } });
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('may ask if they are named', async () => {
    const server = await start({ config: { corsOrigin: ['https://app.example.com'] } });
    expect((await ask(server, 'https://app.example.com')).headers['access-control-allow-origin']).toBe('https://app.example.com');
    expect((await ask(server, 'https://evil.example')).headers).not.toHaveProperty('access-control-allow-origin');
    expect((await server.app.inject({ url: '/users', headers: { origin: 'https://app.example.com' } })).statusCode).toBe(401);
  });
});

describe('limits', () => {
  it('hold for an address, whatever it asks for', async () => {
    const server = await start({ config: { addressLimit: 5 } });
    const statuses: number[] = [];
    for (const url of ['/health', '/users', '/nothing', '/health', '/health', '/health']) {
      const answer = await server.app.inject({ url });
      statuses.push(answer.statusCode);
      if (answer.statusCode === 429) {
        expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
        expect(Number(answer.headers['retry-after'])).toBeLessThanOrEqual(60);
        expect(answer.json().error.code).toBe('RATE_LIMITED');
      }
    }
    expect(statuses).toEqual([200, 401, 404, 200, 200, 429]);
    const other = await server.app.inject({ url: '/health', remoteAddress: '10.0.0.2' });
    expect(other.statusCode).toBe(200);
  });

  it('count an IPv6 network as one', async () => {
    const server = await start({ config: { addressLimit: 2 } });
    const ask = async (remoteAddress: string) => (await server.app.inject({ url: '/health', remoteAddress })).statusCode;
    expect([await ask('2001:db8::1'), await ask('2001:db8::2'), await ask('2001:db8::3'), await ask('2001:db8:0:1::1')]).toEqual([
      200, 200, 429, 200,
    ]);
  });

  it('believe X-Forwarded-For of a proxy alone', async () => {
    const ask = async (server: TestServer, address: string) =>
      (await server.app.inject({ url: '/health', headers: { 'x-forwarded-for': address } })).statusCode;
    const direct = await start({ config: { addressLimit: 1 } });
    expect([await ask(direct, '203.0.113.1'), await ask(direct, '203.0.113.2')]).toEqual([200, 429]);
    const behind = await start({ config: { addressLimit: 1, behindProxy: true } });
    expect([await ask(behind, '203.0.113.1'), await ask(behind, '203.0.113.2'), await ask(behind, '203.0.113.2')]).toEqual([
      200, 200, 429,
    ]);
  });

  it('believe one proxy, and of what it says only what it added: the rest is the client’s', async () => {
    const server = await start({ config: { addressLimit: 1, behindProxy: true } });
    const ask = async (address: string, remoteAddress = '127.0.0.1') =>
      (await server.app.inject({ url: '/health', remoteAddress, headers: { 'x-forwarded-for': address } })).statusCode;
    // Private clients are of the same networks as the proxy.
    expect([await ask('203.0.113.1, 10.0.0.7'), await ask('203.0.113.2, 10.0.0.7')]).toEqual([200, 429]);
    expect([await ask('203.0.113.1', '198.51.100.1'), await ask('203.0.113.2', '198.51.100.1')]).toEqual([200, 429]);
  });

  it('count what a proxy says and is no address as the proxy', async () => {
    const server = await start({ config: { addressLimit: 2, behindProxy: '127.0.0.1/32' } });
    const ask = async (address: string) =>
      (await server.app.inject({ url: '/health', headers: { 'x-forwarded-for': address } })).statusCode;
    expect([await ask('unknown'), await ask('a'.repeat(10_000)), await ask(`fe80::1%${'b'.repeat(9)}`)]).toEqual([200, 200, 429]);
    expect([await ask('203.0.113.1:1'), await ask('203.0.113.1:2'), await ask('203.0.113.1:3')]).toEqual([200, 200, 429]);
  });

  it('are stricter at log-in, by both of its names', async () => {
    const server = await start({ config: { loginLimit: 2 } });
    const login = async (name: 'token' | 'login', number: number) =>
      (await server.request(undefined, name, { body: { email: `unknown${number}@example.com`, password: 'x' } })).statusCode;
    expect([await login('token', 1), await login('login', 2), await login('token', 3), await login('login', 4)]).toEqual([
      401, 401, 429, 429,
    ]);
  });

  it('hold for an account, from wherever it asks', async () => {
    const server = await start({ config: { accountLimit: 2 } });
    const authorization = `Bearer ${await server.token('operator')}`;
    const ask = async (remoteAddress: string) =>
      (await server.app.inject({ url: '/account', headers: { authorization }, remoteAddress })).statusCode;
    expect([await ask('10.0.0.1'), await ask('10.0.0.2'), await ask('10.0.0.3')]).toEqual([200, 200, 429]);
    expect((await server.request('admin', 'account')).statusCode).toBe(200);
  });
});

describe('metrics', () => {
  it('count by route, and hold nothing personal', async () => {
    const server = await start();
    await server.request(undefined, 'token', { body: { email: 'operator@example.com', password: PASSWORD } });
    await server.request(undefined, 'token', { body: { email: 'operator@example.com', password: 'wrong' } });
    await server.request('operator', 'account');
    const { body, headers } = await server.request(undefined, 'metrics');
    expect(headers['content-type']).toMatch(/^text\/plain; version=/);
    expect(body).toContain('model_guard_http_requests_total{route="account",status="200"} 1');
    expect(body).toContain('model_guard_logins_total{outcome="success"} 1');
    expect(body).toContain('model_guard_logins_total{outcome="refused"} 1');
    for (const personal of ['example.com', server.accounts.operator.id, '127.0.0.1']) expect(body).not.toContain(personal);
  });
});

describe('the documentation', () => {
  it('lists every route of the contract with its permission, and nothing else', async () => {
    const server = await start();
    const document = (await server.app.inject({ url: '/docs/json' })).json();
    expect(document.openapi).toBe('3.1.0');
    const operations = Object.values<Record<string, { operationId?: string }>>(document.paths).flatMap((path) =>
      Object.values(path),
    );
    const names = operations.map(({ operationId }) => operationId).sort();
    expect(names).toEqual(Object.keys(definitions).sort());
    const upload = document.paths['/models/{name}/versions/{version}/parts/{part}'].put;
    expect(upload.requestBody.content).toHaveProperty(['application/octet-stream']);
    expect(document.paths['/users'].get).toMatchObject({ security: [{ token: [] }], description: 'Permission: users.manage.' });
    expect(document.paths['/auth/token'].post.requestBody.content['application/json'].schema.required).toEqual([
      'email',
      'password',
    ]);
  });

  it('shows a page that runs no foreign script', async () => {
    const server = await start();
    const page = await server.app.inject({ url: '/docs/' });
    const landing = page.statusCode === 200 ? page : await server.app.inject({ url: String(page.headers.location) });
    expect(landing.statusCode).toBe(200);
    expect(landing.headers['content-security-policy']).toContain("default-src 'self'");
    expect(landing.headers['content-security-policy']).not.toMatch(/script-src[^;]*unsafe/);
  });
});
