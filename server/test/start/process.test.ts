/** The command as a process: starts, names the password file, stops in order. If these fail, a stop loses requests. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Authority } from '../../../test/support/certificates.js';
import { onPostgres, postgresDatabase } from '../support/database.js';

const TSX = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// Each server is a process that translates its sources when it starts.
vi.setConfig({ testTimeout: 120_000 });

let folder: string;
let child: ChildProcess | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-process-'));
});
afterEach(async () => {
  child?.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

/** Makes a process take its output for a terminal. */
const TERMINAL = ['--import', 'data:text/javascript,process.stdout.isTTY = true'];
const run = (words: readonly string[], environment: NodeJS.ProcessEnv = {}, node: readonly string[] = []) => {
  const started = spawn(process.execPath, [...node, '--import', TSX, here('../../src/start/main.ts'), ...words], {
    env: { ...process.env, NODE_ENV: 'test', TSX_TSCONFIG_PATH: here('../../tsconfig.json'), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child = started;
  const lines: string[] = [];
  const errors: string[] = [];
  const waiting: { readonly text: string; readonly found: (line: string) => void }[] = [];
  createInterface({ input: started.stdout }).on('line', (line) => {
    lines.push(line);
    for (const { text, found } of waiting) if (line.includes(text)) found(line);
  });
  createInterface({ input: started.stderr }).on('line', (line) => errors.push(line));
  const ended = once(started, 'close').then(([code]) => code as number);
  const saw = (text: string): Promise<string> =>
    new Promise((found, failed) => {
      const before = lines.find((line) => line.includes(text));
      if (before) found(before);
      waiting.push({ text, found });
      ended.then((code) => failed(new Error(`ended with ${code}: ${errors.join('\n')}`)), failed);
    });
  return { started, lines, errors, ended, saw };
};

describe('the command', () => {
  it('says at a terminal as text alone that it listens; the records of the log follow', async () => {
    const server = run(['--data', folder, '--port', '0'], {}, TERMINAL);
    await server.saw('The records of the log follow');
    expect(server.lines[0]).toMatch(/^The guard server listens at http:/);
    expect(server.lines.filter((line) => line.startsWith('{'))).toEqual([]);
    server.started.kill('SIGTERM');
    expect(await server.ended).toBe(0);
    expect(server.lines.at(-1)).toMatch(/^\{.*"stopped"/);
  });

  it('starts ready to use, and finishes the request that runs when it is told to stop', async () => {
    const server = run(['--data', folder, '--port', '0']);
    const { url } = JSON.parse(await server.saw('"signing_key"'));
    const named = JSON.parse(await server.saw('admin-password.txt'));
    const password = (await readFile(named.file, 'utf8')).trim();

    // The head of a request is on its way when the signal comes, its body only afterwards.
    const body = JSON.stringify({ email: 'admin@localhost', password });
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), expect: '100-continue' };
    const login = request(`${url}/auth/token`, { method: 'POST', headers });
    const answered = once(login, 'response');
    login.flushHeaders();
    await once(login, 'continue');
    server.started.kill('SIGTERM');
    await server.saw('"stopping"');
    login.end(body);
    const [answer] = await answered;
    expect(answer.statusCode).toBe(200);
    answer.resume();
    expect(await server.ended).toBe(0);
    expect(server.lines.join('\n')).not.toContain(password);
    expect(server.errors).toEqual([]);
  });

  it('takes certificates that have changed when it is hung up', async () => {
    const authority = new Authority(folder);
    const [first, renewed] = [authority.issue('first'), authority.issue('renewed')];
    const words = ['--data', folder, '--port', '0', '--tls-cert', first.certFile, '--tls-key', first.keyFile];
    const server = run(words);
    const { url } = JSON.parse(await server.saw('"signing_key"'));
    await writeFile(first.certFile, renewed.cert);
    await writeFile(first.keyFile, renewed.key);
    server.started.kill('SIGHUP');
    await server.saw('certificates were read again');
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), ca: authority.certificate.cert });
    await once(socket, 'secureConnect');
    expect(socket.getPeerCertificate().subject.CN).toBe('renewed');
    socket.destroy();
  });

  it('serves on and stops in order after the reader of its log has closed', async () => {
    const server = run(['--data', folder, '--port', '0']);
    const { url } = JSON.parse(await server.saw('"signing_key"'));
    await server.saw('admin-password.txt');
    server.started.stdout?.destroy();
    for (let i = 0; i < 3; i += 1) {
      const [answer] = await once(request(`${url}/health`).end(), 'response');
      expect(answer.resume().statusCode).toBe(200);
    }
    server.started.kill('SIGTERM');
    expect(await server.ended).toBe(0);
  });

  it.skipIf(!onPostgres)('keeps its state in the database of DATABASE_URL, and shows the URL nowhere', async () => {
    const database = await postgresDatabase(false);
    try {
      const server = run(['--data', folder, '--port', '0', '--log-level', 'trace'], { DATABASE_URL: database.url });
      const { url } = JSON.parse(await server.saw('"signing_key"'));
      const [answer] = await once(request(`${url}/ready`).end(), 'response');
      expect(answer.resume().statusCode).toBe(200);
      server.started.kill('SIGTERM');
      expect(await server.ended).toBe(0);
      expect(await readdir(folder)).not.toContain('guard.db');
      expect([...server.lines, ...server.errors].join('\n')).not.toContain(database.password);

      const refused = run(['--data', folder], { DATABASE_URL: `${database.url}-that-is-not-there` });
      expect(await refused.ended).toBe(7);
      expect(refused.errors.join('\n')).toMatch(/^model-guard-server: The database cannot be reached: .*\(SERVER_UNREACHABLE\)$/);
      expect(refused.errors.join('\n')).not.toContain(database.password);
    } finally {
      await database.drop();
    }
  });

  it.skipIf(onPostgres)(
    'gives an account a new password from a file, while the server runs',
    async () => {
      const server = run(['--data', folder, '--port', '0']);
      const { url } = JSON.parse(await server.saw('"listening"'));
      const file = join(folder, 'new-password.txt');
      await writeFile(file, 'an entirely other phrase\n', { mode: 0o600 });
      const reset = run(['reset-password', '--data', folder, '--password-file', file]);
      expect(await reset.ended).toBe(0);
      expect(reset.errors).toEqual(['admin@localhost has the new password; its tokens have ended']);
      const answer = await fetch(`${url}/auth/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: 'admin@localhost', password: 'an entirely other phrase' }),
      });
      expect([answer.status, ((await answer.json()) as { mustChangePassword: boolean }).mustChangePassword]).toEqual([
        200,
        false,
      ]);
      expect(await readdir(folder)).not.toContain('admin-password.txt');
      const unanswered = run(['reset-password', '--data', folder]);
      expect(await unanswered.ended).toBe(2);
      expect(unanswered.errors.join('\n')).toMatch(/--password-file.*\(INVALID_ARGUMENT\)/);
      server.started.kill('SIGTERM');
      expect(await server.ended).toBe(0);
      // Three processes, one after the other.
    },
    120_000,
  );

  it('says what is wrong in a sentence, and ends', async () => {
    const refused = run(['--data', folder, '--host', '0.0.0.0'], { NODE_ENV: 'production' });
    expect(await refused.ended).toBe(2);
    expect(refused.errors.join('\n')).toMatch(/plain HTTP.*\(INVALID_ARGUMENT\)/);
  });

  it('names the flag for a port in use, and shows no stack', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    try {
      const refused = run(['--data', folder, '--port', String(port)]);
      expect(await refused.ended).toBe(6);
      expect(refused.errors).toEqual([
        expect.stringMatching(/port \d+ of 127\.0\.0\.1.*\(--port\).*\(IN_USE\)$/),
        expect.stringMatching(/^The system reported: .*EADDRINUSE/),
      ]);
    } finally {
      taken.close();
    }
  });

  it('exits with 2 for a flag that it does not know, which it names before one that is missing', async () => {
    const refused = run(['--prot', '1']);
    expect(await refused.ended).toBe(2);
    expect(refused.errors).toEqual(["error: unknown option '--prot'", '(Did you mean --port?)']);
  });

  it.skipIf(onPostgres)('prints the key that clients pin, also while the server runs', async () => {
    const server = run(['--data', folder, '--port', '0']);
    const { signing_key: key } = JSON.parse(await server.saw('"signing_key"'));
    const text = run(['key', '--data', folder]);
    expect([await text.ended, text.lines, text.errors]).toEqual([0, [key], []]);
    server.started.kill('SIGTERM');
    expect(await server.ended).toBe(0);
  });
});
