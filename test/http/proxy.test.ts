/** The way through a company's proxy. If these fail, TLS ends at the proxy, a password is shown, or a wait has no end. */
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { isExempt, type ProxyOption } from '../../src/http/proxy.js';
import { Transport } from '../../src/http/transport.js';
import { httpStore, s3Store } from '../../src/index.js';
import { Authority } from '../support/certificates.js';
import { answering, ConnectProxy } from '../support/connect-proxy.js';
import { failureOf } from '../support/failures.js';
import { fakeClient } from '../support/fake-client.js';
import { FakeGuard } from '../support/fake-guard.js';
import { temporaryFolder } from '../support/temp.js';

/** No resolver knows it: only the proxy can. */
const HOST = 'guard.test';
const PASSWORD = 'p@ss/word of the proxy';
const base = temporaryFolder('proxy');
const authority = new Authority(base);
const certificate = authority.issue('server', `DNS:${HOST},IP:127.0.0.1`);
const client = authority.issue('client');
const ca = authority.certificate.cert;

let proxy: ConnectProxy;
const seen: (string | undefined)[] = [];
const server = createServer(
  { cert: certificate.cert, key: certificate.key, ca, requestCert: true, rejectUnauthorized: false },
  (request, response) => {
    const socket = request.socket as TLSSocket;
    seen.push(
      `${socket.getProtocol()} ${socket.getPeerCertificate().subject?.CN ?? 'nobody'} ${request.headers['proxy-authorization']}`,
    );
    response.end('whole');
  },
);
let port: number;
beforeAll(async () => {
  proxy = await ConnectProxy.listen();
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  port = (server.address() as AddressInfo).port;
});
afterAll(async () => {
  await proxy.close();
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
});

const VARIABLES = ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY', 'no_proxy', 'NO_PROXY'];
beforeEach(() => {
  for (const name of VARIABLES) vi.stubEnv(name, '');
});
const open: Transport[] = [];
afterEach(() => {
  vi.unstubAllEnvs();
  for (const transport of open.splice(0)) transport.close();
  proxy.reset();
  seen.length = 0;
});

interface Asking {
  readonly host?: string;
  readonly option?: ProxyOption;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
}
function asking({ host = HOST, option, timeoutMs = 20_000, signal, tls = { ca } }: Asking = {}) {
  const url = new URL(`https://${host}:${port}/x`);
  const transport = new Transport({ origin: url.origin, tls, timeoutMs, proxy: option });
  open.push(transport);
  const ask = async (): Promise<string> =>
    Buffer.from(await (await transport.send({ method: 'GET', url, signal })).bytes(100)).toString();
  return ask;
}
const withVariable = (name = 'HTTPS_PROXY', value = proxy.url): void => void vi.stubEnv(name, value);

describe('a tunnel', () => {
  it.each(['HTTPS_PROXY', 'https_proxy'])(
    'by %s carries TLS 1.3 and the client certificate to the server itself',
    async (name) => {
      withVariable(name);
      const ask = asking({ tls: { ca, cert: client.cert, key: client.key } });
      expect([await ask(), await ask()]).toEqual(['whole', 'whole']);
      expect(seen).toEqual(['TLSv1.3 client undefined', 'TLSv1.3 client undefined']);
      // The connection is kept.
      expect(proxy.asked).toEqual([`${HOST}:${port}`]);
    },
  );

  it('by an option comes before the environment, and its address may lack the scheme', async () => {
    withVariable('HTTPS_PROXY', 'http://127.0.0.1:1');
    expect(await asking({ option: proxy.host })()).toBe('whole');
    expect(proxy.asked).toHaveLength(1);
  });

  it("does not make the proxy the server: another certificate than the server's is refused", async () => {
    withVariable();
    const stranger = new Authority(base, 'stranger');
    const error = await failureOf(asking({ tls: { ca: stranger.certificate.cert } }));
    expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE', message: expect.stringContaining(HOST) });
    expect(seen).toEqual([]);
  });

  it('is not made where the option or the environment says so', async () => {
    withVariable();
    expect(await asking({ host: '127.0.0.1', option: false })()).toBe('whole');
    vi.stubEnv('NO_PROXY', '127.0.0.0/8');
    expect(await asking({ host: '127.0.0.1' })()).toBe('whole');
    expect(proxy.asked).toEqual([]);
    vi.stubEnv('NO_PROXY', '');
    expect(await asking({ host: '127.0.0.1' })()).toBe('whole');
    expect(proxy.asked).toEqual([`127.0.0.1:${port}`]);
  });

  it('is asked for with the credentials of the URL, which the server and errors never see', async () => {
    proxy.credentials = `user:${PASSWORD}`;
    const secret = `user:${encodeURIComponent(PASSWORD)}@`;
    withVariable('HTTPS_PROXY', proxy.url.replace('//', `//${secret}`));
    expect(await asking()()).toBe('whole');
    expect(seen).toEqual(['TLSv1.3 nobody undefined']);

    proxy.credentials = 'user:another';
    const refused = await failureOf(asking());
    expect(refused.message).toMatch(/refuses the user name or the password \(407\).*HTTPS_PROXY/);
    proxy.refuse = answering(403);
    for (const error of [refused, await failureOf(asking())])
      for (const shown of [error.message, JSON.stringify(error), String(error.stack)]) {
        expect(shown).not.toContain(PASSWORD);
        expect(shown).not.toContain(encodeURIComponent(PASSWORD));
      }
  });

  it.each([
    ['asks for credentials', 407, /asks for a user name and a password \(407\).*\(HTTPS_PROXY\)/],
    ['refuses the host', 403, /\(HTTPS_PROXY\) refused to connect to guard\.test:\d+ \(403\).*NO_PROXY=guard\.test/],
    ['reaches nothing', 502, /\(HTTPS_PROXY\) could not connect to guard\.test:\d+ \(502\)/],
    ['answers with a redirect', 302, /refused to connect .*\(302\)/],
  ])('of a proxy that %s is an error that names the variable', async (_what, status, message) => {
    withVariable();
    proxy.refuse = answering(status);
    const error = await failureOf(asking());
    expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE', message: expect.stringMatching(message) });
  });

  it('of a proxy that is not there is an error that names the variable', async () => {
    withVariable('HTTPS_PROXY', 'http://127.0.0.1:1');
    const error = await failureOf(asking());
    expect(error.message).toMatch(/The proxy http:\/\/127\.0\.0\.1:1 \(HTTPS_PROXY\) was not reached \(ECONNREFUSED\)/);
  });

  it('of a proxy that says nothing ends with the time limit, and its connection with it', async () => {
    withVariable();
    proxy.refuse = () => undefined;
    const error = await failureOf(asking({ timeoutMs: 300 }));
    expect([error.code, error.message]).toEqual(['TIMED_OUT', expect.stringContaining('HTTPS_PROXY')]);
    await vi.waitFor(() => expect(proxy.open).toBe(0));
  });

  it('that is waited for ends with the signal, and its connection with it', async () => {
    withVariable();
    const stop = new AbortController();
    proxy.refuse = () => stop.abort();
    expect((await failureOf(asking({ signal: stop.signal }))).code).toBe('ABORT_ERR');
    await vi.waitFor(() => expect(proxy.open).toBe(0));
  });

  it('of a proxy whose head has no end is an error', async () => {
    withVariable();
    proxy.refuse = (_request, socket) => {
      const more = (): void => void (socket.destroyed || socket.write(`x-more: ${'x'.repeat(4000)}\r\n`, more));
      socket.write('HTTP/1.1 200 OK\r\n', more);
    };
    expect((await failureOf(asking())).message).toMatch(/HPE_HEADER_OVERFLOW/);
  });
});

describe('plain HTTP', () => {
  it('to this machine goes through a proxy of this machine, in absolute form', async () => {
    const guard = await new FakeGuard().listen();
    withVariable('HTTP_PROXY');
    withVariable('HTTPS_PROXY', 'http://127.0.0.1:1');
    await fakeClient(guard, { state: `${base}/state` }).guard.server();
    expect(proxy.asked[0]).toMatch(new RegExp(`^${guard.url}/`));
    proxy.credentials = 'user:password';
    const error = await failureOf(() => fakeClient(guard, { state: `${base}/state` }).guard.server());
    expect(error.message).toMatch(/\(407\).*HTTP_PROXY/);
    await guard.close();
  });

  it('to this machine is not sent out of it, unless it goes directly', async () => {
    const guard = await new FakeGuard().listen();
    withVariable('HTTP_PROXY', 'http://proxy.example.com:3128');
    const ask = () => fakeClient(guard, { state: `${base}/state` }).guard.server();
    expect(await failureOf(ask)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/unencrypted.*NO_PROXY/),
    });
    vi.stubEnv('NO_PROXY', '127.0.0.1');
    expect((await ask()).id).toBe(guard.id);
    await guard.close();
  });
});

describe('stores', () => {
  it('go through the proxy: httpStore and s3Store', async () => {
    withVariable();
    const ref = { name: 'net', version: '1' };
    expect(Buffer.from(await httpStore(`https://${HOST}:${port}`, { tls: { ca } }).getSmall(ref)).toString()).toBe('whole');
    const keys = { accessKeyId: 'id', secretAccessKey: 'secret' };
    const s3 = s3Store({ bucket: 'models', endpoint: `https://${HOST}:${port}`, tls: { ca }, credentials: keys });
    expect(Buffer.from(await s3.getSmall(ref)).toString()).toBe('whole');
    expect(proxy.asked).toEqual([`${HOST}:${port}`, `${HOST}:${port}`]);
  });

  it.each(['socks5://user:secret@proxy', 'https://user:secret@proxy', 'http://user:secret@', 'http://secret%zz@proxy'])(
    'refuse a proxy of another kind, without showing its password: %s',
    (option) => {
      expect(() => httpStore(`https://${HOST}`, { proxy: option })).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.not.stringContaining('secret') }),
      );
    },
  );
});

describe('NO_PROXY', () => {
  it.each<[string, string, boolean]>([
    ['*', 'https://any.example', true],
    ['example.com', 'https://example.com', true],
    ['example.com', 'https://guard.example.com', true],
    ['.example.com', 'https://guard.example.com', true],
    ['*.example.com', 'https://guard.example.com', true],
    ['example.com', 'https://badexample.com', false],
    ['a.example, EXAMPLE.com.', 'https://Guard.Example.com', true],
    ['a.example b.example', 'https://b.example', true],
    ['example.com:8443', 'https://example.com:8443', true],
    ['example.com:8443', 'https://example.com', false],
    ['example.com:443', 'https://example.com', true],
    ['10.0.0.0/8', 'https://10.1.2.3', true],
    ['10.0.0.0/8', 'https://11.1.2.3', false],
    ['10.0.0.0/99', 'https://10.1.2.3', false],
    ['10.1.2.3', 'https://10.1.2.3:8443', true],
    ['10.1.2.3', 'https://110.1.2.3', false],
    ['::1', 'https://[::1]:8443', true],
    ['[::1]:8443', 'https://[::1]:8443', true],
    ['[::1]:8443', 'https://[::1]', false],
    ['0:0:0:0:0:0:0:1', 'https://[::1]', true],
    ['fd00::/8', 'https://[fd12::1]', true],
    ['localhost', 'http://127.0.0.1', false],
    ['', 'https://example.com', false],
    ['*.', 'https://example.com', false],
  ])('%s for %s: %s', (list, url, exempt) => {
    expect(isExempt(new URL(url), list)).toBe(exempt);
  });
});
