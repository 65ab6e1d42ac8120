/**
 * Connections. If these fail, silent sockets of one address keep every other client out, or use up the descriptors of the
 * process.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connectionBounds, descriptorLimit } from '../../src/limits/connections.js';
import type { Settings } from '../../src/start/config.js';
import { startTestServer, type TestServer } from '../support/server.js';

const servers: TestServer[] = [];
const sockets = new Set<Socket>();
afterEach(async () => {
  vi.useRealTimers();
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  for (const server of servers.splice(0)) await server.close();
});

const start = async (config: Partial<Settings>): Promise<number> => {
  const server = await startTestServer({ config });
  servers.push(server);
  return Number(new URL(await server.listen()).port);
};

/** A connection from an address of this machine that sends nothing; `closed` resolves when the server has closed it. */
async function silent(port: number, from: string): Promise<{ readonly socket: Socket; readonly closed: Promise<unknown> }> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  sockets.add(socket);
  socket.on('error', () => undefined).resume();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  await Promise.race([once(socket, 'connect'), closed]);
  return { socket, closed };
}

/** The status that a connection from there is answered with; 0 where it is closed without an answer. */
async function ask(port: number, from: string): Promise<number> {
  const { socket, closed } = await silent(port, from);
  let text = '';
  socket.on('data', (data) => {
    text += data;
  });
  socket.write('GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await closed;
  return Number(/^HTTP\/1.1 (\d+)/.exec(text)?.[1] ?? 0);
}

describe('connections', () => {
  it('of one network are bounded, and other networks get in', async () => {
    const port = await start({ maxConnections: 40, networkConnections: 10 });
    const held = await Promise.all(Array.from({ length: 15 }, () => silent(port, '127.0.0.1')));
    await Promise.race(held.map(({ closed }) => closed));
    expect(await ask(port, '127.0.0.1')).toBe(0);
    expect(await ask(port, '127.0.0.2')).toBe(200);
    for (const { socket } of held) socket.destroy();
    await expect.poll(() => ask(port, '127.0.0.1')).toBe(200);
  });

  it('are bounded all together', async () => {
    const port = await start({ maxConnections: 4, networkConnections: 2 });
    const [first] = await Promise.all(['127.0.0.1', '127.0.0.1', '127.0.0.2', '127.0.0.2'].map((from) => silent(port, from)));
    expect(await ask(port, '127.0.0.3')).toBe(0);
    const [warning] = servers[0]?.logged.filter(({ msg }) => String(msg).includes('connections were refused')) ?? [];
    expect(warning).toMatchObject({ level: 'warn', refused: 1, open: 4, most: 4 });
    first?.socket.destroy();
    await expect.poll(() => ask(port, '127.0.0.3')).toBe(200);
  });

  it('of a trusted proxy are many clients’, and count only all together', async () => {
    const port = await start({ maxConnections: 40, networkConnections: 2, behindProxy: '127.0.0.1/32' });
    for (let number = 0; number < 5; number++) await silent(port, '127.0.0.1');
    expect(await ask(port, '127.0.0.1')).toBe(200);
    for (let number = 0; number < 2; number++) await silent(port, '127.0.0.2');
    expect(await ask(port, '127.0.0.2')).toBe(0);
  });

  it('that say nothing end after five seconds', async () => {
    const port = await start({});
    const { closed } = await taken(port);
    vi.advanceTimersByTime(5000);
    await closed;
  });

  it('with TLS are bounded before TLS is spoken, and end where nothing is', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'guard-connections-'));
    try {
      const [tlsCert, tlsKey] = [join(folder, 'server.crt'), join(folder, 'server.key')];
      await promisify(execFile)('openssl', [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
        ...['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', tlsKey, '-out', tlsCert],
      ]);
      const port = await start({ tlsCert, tlsKey, networkConnections: 2 });
      const speaking = connectTls({ port, host: '127.0.0.1', ca: await readFile(tlsCert) });
      sockets.add(speaking);
      await once(speaking, 'secureConnect');
      const { closed } = await taken(port);
      const third = await silent(port, '127.0.0.1');
      await third.closed;
      vi.advanceTimersByTime(5000);
      await closed;
      speaking.write('GET /health HTTP/1.1\r\nhost: a\r\n\r\n');
      const [answer] = await once(speaking, 'data');
      expect(String(answer)).toMatch(/^HTTP\/1.1 200 /);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

/** A silent connection that the server has taken, on a clock that stands still. */
async function taken(port: number): ReturnType<typeof silent> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const arrived = once(servers[0]?.app.server ?? fail(), 'connection');
  const connection = await silent(port, '127.0.0.1');
  await arrived;
  return connection;
}

function fail(): never {
  throw new Error('no server runs');
}

describe('the bounds', () => {
  it('leave descriptors for files and the database', () => {
    expect(connectionBounds({}, 300)).toEqual({ most: 118, ofNetwork: 29 });
    expect(connectionBounds({}, 1024)).toEqual({ most: 480, ofNetwork: 120 });
    expect(connectionBounds({}, 1_048_576)).toEqual({ most: 4096, ofNetwork: 1024 });
    expect(connectionBounds({}, undefined)).toEqual({ most: 4096, ofNetwork: 1024 });
    expect(connectionBounds({}, 10)).toEqual({ most: 1, ofNetwork: 1 });
    expect(connectionBounds({ maxConnections: 100, networkConnections: 200 }, 300)).toEqual({ most: 100, ofNetwork: 100 });
  });

  it('that the system does not allow are refused, with the limit that would do', () => {
    expect(() => connectionBounds({ maxConnections: 500 }, 1024)).toThrow(/1024 open files.*Allow 1064 .*ulimit -n/);
  });

  it('come from the limit of this process', async () => {
    const { stdout } = await promisify(execFile)('prlimit', [
      '--nofile',
      '--noheadings',
      '--output=SOFT',
      '--pid',
      String(process.pid),
    ]);
    expect(await descriptorLimit()).toBe(Number(stdout));
    const folder = await mkdtemp(join(tmpdir(), 'guard-limits-'));
    const limits = join(folder, 'limits');
    await writeFile(limits, (await readFile('/proc/self/limits', 'latin1')).replace(/^(Max open files +)\d+/m, '$1unlimited'));
    expect(await descriptorLimit(limits)).toBeUndefined();
    expect(await descriptorLimit(join(folder, 'none'))).toBeUndefined();
    await rm(folder, { recursive: true });
  });
});
