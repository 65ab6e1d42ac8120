/** Sockets. If these fail, old TLS is spoken, or strangers' certificates are taken. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request as plainRequest } from 'node:http';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startTestServer, type TestServer } from '../support/server.js';

let folder: string;
const at = (name: string): string => join(folder, name);
const openssl = (...words: string[]): void => void execFileSync('openssl', words, { cwd: folder, stdio: 'ignore' });
const makeCertificate = (name: string): void =>
  openssl(
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', `/CN=${name}`],
    ...['-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', `${name}.key`, '-out', `${name}.crt`],
  );
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-tls-'));
  for (const name of ['server', 'client', 'stranger']) makeCertificate(name);
});
afterAll(() => rm(folder, { recursive: true }));

const open: TestServer[] = [];
const start = async (more: object = {}): Promise<TestServer> => {
  const server = await startTestServer({ config: { tlsCert: at('server.crt'), tlsKey: at('server.key'), ...more } });
  open.push(server);
  await server.listen();
  return server;
};
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

/** The TLS version that was agreed upon. */
const handshake = async (url: string, options: ConnectionOptions): Promise<string | null> => {
  const ca = await readFile(at('server.crt'));
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), ca, ...options }, () => {
      resolve(socket.getProtocol());
      socket.end();
    });
    socket.on('error', reject);
  });
};
const get = async (url: string, options: object = {}): Promise<{ status: number | undefined; hsts: string | undefined }> => {
  const ca = await readFile(at('server.crt'));
  return new Promise((resolve, reject) => {
    request(`${url}/health`, { ca, agent: false, ...options }, (answer) => {
      answer.resume();
      resolve({ status: answer.statusCode, hsts: answer.headers['strict-transport-security'] });
    })
      .on('error', reject)
      .end();
  });
};
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });

describe('TLS', () => {
  it('is 1.3 and nothing else', async () => {
    const server = await start();
    const { url } = server;
    expect(url).toMatch(/^https:/);
    expect(server.logged.map(({ msg }) => msg)).toContain(`Server listening at ${url}`);
    expect(JSON.stringify(server.logged)).not.toContain('http:');
    expect(await handshake(url, {})).toBe('TLSv1.3');
    await expect(handshake(url, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version/i);
    expect(await get(url)).toEqual({ status: 200, hsts: expect.stringContaining('max-age') });
  });

  it('demands a certificate of the authority that is named', async () => {
    const { url } = await start({ clientCa: at('client.crt') });
    const client = async (name: string) => ({ cert: await readFile(at(`${name}.crt`)), key: await readFile(at(`${name}.key`)) });
    expect(await get(url, await client('client'))).toMatchObject({ status: 200 });
    await expect(get(url, await client('stranger'))).rejects.toThrow();
    await expect(get(url)).rejects.toThrow();
  });

  it('is the target of redirects of the plain port, whatever host a request names', async () => {
    const httpRedirectPort = await freePort();
    const { url } = await start({ httpRedirectPort });
    const location = await new Promise<[number | undefined, string | undefined]>((resolve, reject) => {
      const options = { host: '127.0.0.1', port: httpRedirectPort, path: '/users?x=1', headers: { host: 'evil.example' } };
      plainRequest(options, (answer) => {
        answer.resume();
        resolve([answer.statusCode, answer.headers.location]);
      })
        .on('error', reject)
        .end();
    });
    expect(location).toEqual([308, `${url}/users?x=1`]);
  });

  it('does not start without its files', async () => {
    await expect(startTestServer({ config: { tlsCert: at('none.crt'), tlsKey: at('server.key') } })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});

describe('a port of the system’s choice', () => {
  it('is part of the public URL, unless that was given', async () => {
    const chosen = await start();
    expect(chosen.config.publicUrl).toBe(chosen.url);
    const given = await start({ publicUrl: 'https://guard.example.com' });
    expect(given.config.publicUrl).toBe('https://guard.example.com');
  });
});
