/** Certificates that change while the server runs. If these fail, a renewal needs a restart, or revoked clients stay connected. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Authority, type Certificate } from '../../../test/support/certificates.js';
import { Certificates } from '../../src/start/certificates.js';
import { makeListener } from '../../src/start/listener.js';

let folder: string;
let authority: Authority;
let first: Certificate;
let renewed: Certificate;
let client: Certificate;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-certificates-'));
  authority = new Authority(folder);
  [first, renewed, client] = [authority.issue('first'), authority.issue('renewed'), authority.issue('client')];
});
afterAll(() => rm(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);
const use = async ({ cert, key }: { cert: string; key: string }): Promise<void> => {
  await writeFile(at('server.crt'), cert);
  await writeFile(at('server.key'), key);
};
const logged: Record<string, unknown>[] = [];
const closing: (() => Promise<void>)[] = [];
beforeEach(() => use(first));
afterEach(async () => {
  vi.useRealTimers();
  logged.length = 0;
  for (const close of closing.splice(0)) await close();
});

/** A listener that answers every request after `hold` has resolved. */
async function listen(more: object = {}, hold?: Promise<void>) {
  const files = { certificate: at('server.crt'), key: at('server.key'), ...more };
  const log = pino({}, { write: (line: string) => void logged.push(JSON.parse(line)) });
  const certificates = await Certificates.read(files, log);
  const server = makeListener(certificates)(async (_, response) => {
    response.flushHeaders();
    await hold;
    response.end('answer');
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  closing.push(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });
  const { port } = server.address() as AddressInfo;
  return { certificates, server, port };
}

/** Asks once, with a connection of its own unless an agent is given: the name in the server's certificate, or the error. */
const ask = (port: number, options: object = {}): Promise<{ name: unknown; socket: TLSSocket; ended: Promise<string> }> =>
  new Promise((resolve, reject) => {
    const ca = authority.certificate.cert;
    request({ host: '127.0.0.1', port, ca, agent: false, ...options }, (answer) => {
      const socket = answer.socket as TLSSocket;
      const ended = new Promise<string>((done) => {
        let text = '';
        answer.on('data', (piece) => {
          text += piece;
        });
        answer.once('close', () => done(text));
      });
      resolve({ name: socket.getPeerCertificate().subject.CN, socket, ended });
    })
      .on('error', reject)
      .end();
  });
const closed = (socket: TLSSocket): Promise<void> =>
  new Promise((done) => (socket.destroyed ? done() : socket.once('close', () => done())));

describe('a renewed certificate', () => {
  it('is shown to the next connection, while open ones go on', async () => {
    const { certificates, port } = await listen();
    const agent = new Agent({ keepAlive: true });
    const before = await ask(port, { agent });
    await before.ended;
    await use(renewed);
    await certificates.reload();
    expect((await ask(port)).name).toBe('renewed');
    const again = await ask(port, { agent });
    expect([again.name, again.socket === before.socket]).toEqual(['first', true]);
    agent.destroy();
  });

  it('is noticed within a minute without being told', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const { port } = await listen();
    await use(renewed);
    vi.advanceTimersByTime(60_000);
    await vi.waitFor(async () => expect((await ask(port)).name).toBe('renewed'));
  });

  it('of which only half is written changes nothing, is logged once, and is taken when it is whole', async () => {
    const { certificates, port } = await listen();
    await writeFile(at('server.crt'), renewed.cert);
    await certificates.reload();
    await certificates.reload();
    expect((await ask(port)).name).toBe('first');
    expect(logged.map(({ level }) => level)).toEqual([50]);
    await use(renewed);
    await certificates.reload();
    expect((await ask(port)).name).toBe('renewed');
  });

  it.each([
    ['is gone', () => rm(at('server.key'))],
    ['is no certificate', () => writeFile(at('server.crt'), 'text')],
    ['is longer than any', () => writeFile(at('server.crt'), `${first.cert}${' '.repeat(1024 * 1024)}`)],
  ])('that %s leaves the old one', async (_, spoil) => {
    const { certificates, port } = await listen();
    await spoil();
    await certificates.reload();
    expect((await ask(port)).name).toBe('first');
    expect(logged).toMatchObject([{ level: 50 }]);
  });
});

describe('a file that TLS does not take', () => {
  const spoilt = (name: string) => writeFile(at(name), 'text');
  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['no certificate', () => spoilt('server.crt'), /^--tls-cert: .*server\.crt holds no certificate/],
    ['no key', () => spoilt('server.key'), /^--tls-key: .*server\.key holds no private key/],
    ['the key of another certificate', () => writeFile(at('server.key'), renewed.key), /^--tls-key: .*does not belong/],
    ['no authority', () => spoilt('ca.crt'), /^--client-ca: .*ca\.crt holds no certificate/],
  ])('is named with its flag: %s', async (_what, spoil, message) => {
    await writeFile(at('ca.crt'), authority.certificate.cert);
    await spoil();
    await expect(listen({ clientAuthority: at('ca.crt') })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
  });

  it('is named with its flag where it is missing', async () => {
    await rm(at('server.key'));
    await expect(listen()).rejects.toMatchObject({ code: 'NOT_FOUND', message: expect.stringMatching(/^--tls-key: /) });
  });
});

describe('a client certificate', () => {
  const show = () => ({ cert: client.cert, key: client.key });
  const demanding = async (crl: string, hold?: Promise<void>) => {
    await writeFile(at('client.crl'), crl);
    return listen({ clientAuthority: authority.certificate.certFile, revoked: at('client.crl') }, hold);
  };

  it('that a list names is refused; one that it does not name is taken', async () => {
    const { port } = await demanding(authority.revoke(client));
    await expect(ask(port, show())).rejects.toThrow();
    const { cert, key } = authority.issue('another');
    expect((await ask(port, { cert, key })).name).toBe('first');
  });

  it('that is revoked later ends its idle connection at once, and no new one is made', async () => {
    const { certificates, port } = await demanding(authority.revoke());
    const agent = new Agent({ keepAlive: true });
    const before = await ask(port, { agent, ...show() });
    await before.ended;
    await writeFile(at('client.crl'), authority.revoke(client));
    await certificates.reload();
    await closed(before.socket);
    await expect(ask(port, { agent, ...show() })).rejects.toThrow();
    agent.destroy();
  });

  it('that is revoked during a request ends with the response', async () => {
    let go = (): void => undefined;
    const { certificates, port } = await demanding(
      authority.revoke(),
      new Promise((resolve) => {
        go = resolve;
      }),
    );
    const agent = new Agent({ keepAlive: true });
    const running = await ask(port, { agent, ...show() });
    await writeFile(at('client.crl'), authority.revoke(client));
    await certificates.reload();
    go();
    expect(await running.ended).toBe('answer');
    await closed(running.socket);
    agent.destroy();
  });

  it('is not checked against a file without a list', async () => {
    await expect(demanding('no list')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('--client-crl'),
    });
  });
});
