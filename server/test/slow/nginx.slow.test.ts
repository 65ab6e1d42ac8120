/** The nginx of server/deploy in front of a server, as a user would have it: TLS 1.3 alone, and the client works through it. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { get as getSecure } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { DeviceKey, guardServer, load, protect, SigningKey } from '@org/model-guard';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../../../test/support/seed.js';
import { PASSWORD, startTestServer, type TestServer } from '../support/server.js';

const CONFIGURATION = fileURLToPath(new URL('../../deploy/nginx.conf', import.meta.url));
const installed = ((): boolean => {
  try {
    execFileSync('nginx', ['-v'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

/** Ports that were free a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(listeners.map((one) => once(one, 'listening')));
  const ports = listeners.map((one) => (one.address() as { port: number }).port);
  await Promise.all(listeners.map((one) => once(one.close(), 'close')));
  return ports;
}

async function shake(port: number, options: ConnectionOptions): Promise<string> {
  const socket: TLSSocket = connect({ host: 'localhost', servername: 'localhost', port, ...options });
  try {
    await once(socket, 'secureConnect');
    return socket.getProtocol() ?? '';
  } finally {
    socket.destroy();
  }
}

describe.skipIf(!installed)('behind nginx', () => {
  let folder: string;
  let server: TestServer;
  let nginx: ReturnType<typeof spawn>;
  /** The error log. */
  let written = '';
  let ports: { tls: number; plain: number };
  let certificate: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'guard-nginx-'));
    certificate = join(folder, 'server.crt');
    execFileSync(
      'openssl',
      // biome-ignore format: an option and its value a line
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
        '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', join(folder, 'server.key'), '-out', certificate],
      { stdio: 'ignore' },
    );
    const [tls = 0, plain = 0] = await freePorts(2);
    ports = { tls, plain };
    server = await startTestServer({
      config: { behindProxy: '127.0.0.1/32', publicUrl: `https://localhost:${tls}`, addressPolicy: 'keep' },
    });
    const upstream = new URL(await server.listen());
    const file = join(folder, 'nginx.conf');
    const configuration = (await readFile(CONFIGURATION, 'utf8'))
      .replace('guard:8080', upstream.host)
      .replaceAll('listen 443', `listen 127.0.0.1:${tls}`)
      .replaceAll('listen 80', `listen 127.0.0.1:${plain}`)
      .replaceAll('guard.example.com', 'localhost')
      .replaceAll('/etc/nginx/tls', folder)
      .replace('/run/nginx.pid', join(folder, 'nginx.pid'));
    await writeFile(file, configuration);
    execFileSync('nginx', ['-t', '-c', file, '-p', folder], { stdio: 'pipe' });
    nginx = spawn('nginx', ['-c', file, '-p', folder, '-g', 'daemon off;'], { stdio: ['ignore', 'inherit', 'pipe'] });
    nginx.stderr?.on('data', (text) => {
      written += text;
    });
    while (nginx.exitCode === null) {
      const up = await shake(tls, { ca: await readFile(certificate) }).catch(
        (error: { code?: string }) => error.code !== 'ECONNREFUSED',
      );
      if (up) break;
    }
  });
  afterAll(async () => {
    if (nginx && nginx.exitCode === null) {
      const ended = once(nginx, 'exit');
      nginx.kill('SIGTERM');
      await ended;
    }
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('speaks TLS 1.3 and nothing older', async () => {
    const trusted = { ca: await readFile(certificate) };
    expect(await shake(ports.tls, trusted)).toBe('TLSv1.3');
    for (const maxVersion of ['TLSv1.2', 'TLSv1.1'] as const)
      await expect(shake(ports.tls, { ...trusted, minVersion: 'TLSv1', maxVersion })).rejects.toThrow(/alert|protocol|version/i);
  });

  /** The status and the address of an answer on the plain port; undefined where the connection is closed without one. */
  const askPlain = (host: string): Promise<readonly [number | undefined, string | undefined] | undefined> =>
    new Promise((resolve) => {
      get(`http://127.0.0.1:${ports.plain}/health?x=1`, { headers: { host } }, (answer) => {
        answer.resume();
        resolve([answer.statusCode, answer.headers.location]);
      }).on('error', () => resolve(undefined));
    });

  it('sends plain requests to TLS at its own name, and none to a name that the request claims', async () => {
    expect(await askPlain('localhost')).toEqual([301, 'https://localhost/health?x=1']);
    expect(await askPlain('evil.example')).toBeUndefined();
  });

  it('takes TLS for its own name alone', async () => {
    const ca = await readFile(certificate);
    await expect(shake(ports.tls, { ca, servername: 'evil.example' })).rejects.toThrow(/unrecognized name/);
  });

  it('carries a model up and down again, and passes the client address on', async () => {
    const model = new Random(7).bytes(9 * 1024 * 1024 + 5);
    const source = join(folder, 'model.bin');
    await writeFile(source, model);
    const publisher = SigningKey.generate();
    const device = DeviceKey.generate();
    const as = (role: 'admin' | 'operator', more = {}) =>
      guardServer({
        url: `https://localhost:${ports.tls}`,
        serverKey: server.context.keys.signing.publicKey.toString(),
        credentials: () => ({ email: server.accounts[role].email, password: PASSWORD }),
        state: join(folder, 'state'),
        tls: { ca: certificate },
        ...more,
      });
    const admin = as('admin');
    const machine = as('operator', { device, publishers: publisher.publicKey });
    await admin.publishers.set('m', [publisher.publicKey]);
    await protect(source, { name: 'm', version: '1', to: admin, signer: publisher });
    const { device: enrolled, fingerprint } = await machine.enroll('behind nginx');
    await admin.devices.approve(enrolled.id, fingerprint);
    await admin.entitlements.create({ name: 'm', account: server.accounts.operator.id });
    const loaded = await load('m', { from: machine });
    expect(Buffer.compare(loaded.bytes, model)).toBe(0);
    loaded.dispose();
    const addresses = new Set<string | undefined>();
    for await (const event of admin.audit.events({ action: 'leases.take' })) addresses.add(event.personal?.address);
    expect([...addresses]).toEqual(['127.0.0.1']);
    for (const one of [admin, machine]) one.close();
  });

  it('refuses a certificate of no known authority', async () => {
    const stranger = guardServer({
      url: `https://localhost:${ports.tls}`,
      serverKey: server.context.keys.signing.publicKey.toString(),
      credentials: () => ({ email: 'admin@example.com', password: PASSWORD }),
    });
    await expect(stranger.login()).rejects.toMatchObject({ code: 'SERVER_UNREACHABLE' });
    stranger.close();
  });

  it('writes no signed address into its error log while the server is away; other addresses it does', async () => {
    await server.stop();
    const ca = await readFile(certificate);
    const ask = async (path: string): Promise<number | undefined> => {
      const [answer] = await once(getSecure(`https://localhost:${ports.tls}${path}`, { ca, agent: false }), 'response');
      answer.resume();
      return answer.statusCode;
    };
    const part = `${'0'.repeat(32)}-0`;
    for (const path of [`/parts/${part}`, `/parts/${part}/tree`, `/x/..//parts/${part}`, `/%70arts/${part}`])
      expect(await ask(`${path}?expires=9999999999&signature=SIGNATURE`), path).toBe(502);
    expect(await ask('/health?last')).toBe(502);
    await expect.poll(() => written).toContain('/health?last');
    expect(written).not.toContain('SIGNATURE');
  });
});
