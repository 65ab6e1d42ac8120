/** The certificates that a server may show. If these fail, an attacker on the way may be the server. */
import { rm, writeFile } from 'node:fs/promises';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { afterAll, describe, expect, it } from 'vitest';
import { Transport } from '../../src/http/transport.js';
import type { TlsOptions } from '../../src/index.js';
import { Authority } from '../support/certificates.js';
import { failureOf } from '../support/failures.js';
import { fakeClient } from '../support/fake-client.js';
import { FakeGuard } from '../support/fake-guard.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('tls');
const authority = new Authority(base);
const other = new Authority(base, 'another');
const good = authority.issue('server');
const ca = authority.certificate.cert;
const open: FakeGuard[] = [];
afterAll(() => Promise.all(open.map((fake) => fake.close())));

async function serving(options: ServerOptions): Promise<FakeGuard> {
  const fake = new FakeGuard((listener) => createServer(options, listener));
  open.push(fake);
  return fake.listen('https');
}
const asking = (fake: FakeGuard, tls?: TlsOptions, url = fake.url) =>
  fakeClient(fake, { state: path.join(base, 'state'), url, ...(tls && { tls }) }).guard.server();

describe('a server', () => {
  it('with a certificate of the own authority is trusted, by text or by file', async () => {
    const fake = await serving({ cert: good.cert, key: good.key });
    expect((await asking(fake, { ca })).id).toBe(fake.id);
    expect((await asking(fake, { ca: authority.certificate.certFile })).id).toBe(fake.id);
  });

  it.each<[string, () => ServerOptions]>([
    ['that nobody vouches for', () => ({ cert: other.certificate.cert, key: other.certificate.key })],
    ['that another authority vouches for', () => other.issue('stranger')],
    ['for another address', () => authority.issue('elsewhere', 'DNS:guard.example.org')],
    ['that speaks no TLS 1.3', () => ({ cert: good.cert, key: good.key, maxVersion: 'TLSv1.2' })],
  ])('%s is not asked', async (_, options) => {
    const fake = await serving(options());
    const error = await failureOf(() => asking(fake, { ca }));
    expect(error.code).toBe('SERVER_UNREACHABLE');
    expect(error.cause).toBeInstanceOf(Error);
    expect(fake.asked).toEqual([]);
  });

  it('is not trusted because the environment switches verification off', async () => {
    const fake = await serving({ cert: good.cert, key: good.key });
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    try {
      expect((await failureOf(() => asking(fake))).code).toBe('SERVER_UNREACHABLE');
    } finally {
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    }
  });

  it('may demand a certificate of the client', async () => {
    const fake = await serving({ cert: good.cert, key: good.key, ca, requestCert: true, rejectUnauthorized: true });
    const { certFile: cert, keyFile: key } = authority.issue('client');
    expect((await asking(fake, { ca, cert, key })).id).toBe(fake.id);
    expect((await failureOf(() => asking(fake, { ca }))).code).toBe('SERVER_UNREACHABLE');
  });

  it('alone is shown the certificate of the client: big parts may lie elsewhere', async () => {
    const seen: unknown[] = [];
    const store = createServer(
      { cert: good.cert, key: good.key, ca, requestCert: true, rejectUnauthorized: false },
      (request, response) => {
        seen.push((request.socket as TLSSocket).getPeerCertificate().subject?.CN);
        response.end('part');
      },
    );
    await new Promise<void>((resolve) => store.listen(0, '127.0.0.1', resolve));
    const url = new URL(`https://127.0.0.1:${(store.address() as AddressInfo).port}/part`);
    const { cert, key } = authority.issue('shy');
    for (const origin of [url.origin, 'https://guard.example.org']) {
      const transport = new Transport({ origin, tls: { ca, cert, key }, timeoutMs: 20_000 });
      await (await transport.send({ method: 'GET', url })).bytes(100);
      transport.close();
    }
    store.closeAllConnections();
    store.close();
    expect(seen).toEqual(['shy', undefined]);
  });

  it('is not asked while the certificates cannot be read', async () => {
    const fake = await serving({ cert: good.cert, key: good.key });
    expect((await failureOf(() => asking(fake, { ca: path.join(base, 'none') }))).code).toBe('NOT_FOUND');
  });

  it('that does not speak TLS at all is not reached', async () => {
    const plain = await new FakeGuard().listen();
    open.push(plain);
    const error = await failureOf(() => asking(plain, { ca }, plain.url.replace('http:', 'https:')));
    expect(error.code).toBe('SERVER_UNREACHABLE');
  });

  it('is shown the renewed certificate of the client once its files have changed, and the old one while only half is written', async () => {
    const seen: unknown[] = [];
    const demanding = { cert: good.cert, key: good.key, ca, requestCert: true, rejectUnauthorized: true };
    const server = createServer(demanding, (request, response) => {
      seen.push((request.socket as TLSSocket).getPeerCertificate().subject.CN);
      response.setHeader('connection', 'close').end();
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const [before, after] = [authority.issue('before'), authority.issue('after')];
    const [cert, key] = [path.join(base, 'renewed.crt'), path.join(base, 'renewed.key')];
    await writeFile(cert, before.cert);
    await writeFile(key, before.key);
    const transport = new Transport({ origin: url.origin, tls: { ca, cert, key }, timeoutMs: 20_000 });
    const ask = async (): Promise<void> => void (await (await transport.send({ method: 'GET', url })).bytes(100));
    await ask();
    await writeFile(cert, after.cert);
    await ask();
    await writeFile(key, after.key);
    await ask();
    await rm(cert);
    await ask();
    transport.close();
    server.close();
    expect(seen).toEqual(['before', 'before', 'after', 'after']);
  });

  it('is not asked with a key that belongs to another certificate', async () => {
    const fake = await serving({ cert: good.cert, key: good.key });
    const error = await failureOf(() => asking(fake, { ca, cert: authority.issue('one').cert, key: authority.issue('two').key }));
    expect([error.code, error.message]).toEqual(['INVALID_ARGUMENT', expect.stringContaining('options.tls')]);
  });
});
