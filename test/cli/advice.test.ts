/** Advice that fits what happened. If these fail, a person is sent to look in the wrong place. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Authority } from '../support/certificates.js';
import { modelGuard, succeed } from '../support/cli.js';
import { FakeGuard, failure } from '../support/fake-guard.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('advice');
const at = (name: string): string => path.join(base, name);
const guard = new FakeGuard();
const issued = new Authority(base).issue('server');
const secure = new FakeGuard((listener) => createSecureServer({ cert: issued.cert, key: issued.key }, listener));
const moved = createServer((request, response) => {
  response.writeHead(301, { location: `https://cdn.example.org${request.url}?signature=secret` }).end();
});

const portOf = (server: Server): number => (server.address() as AddressInfo).port;
const OPEN = ['--identity', at('master.key'), '--unsigned', 'accept'];

beforeAll(async () => {
  await guard.listen();
  await secure.listen('https');
  await new Promise<void>((done) => moved.listen(0, '127.0.0.1', done));
  writeFileSync(at('net.onnx'), 'a model');
  writeFileSync(at('account.txt'), 'ada@example.org\na long phrase that is hard to guess\n', { mode: 0o600 });
  const profile = { url: guard.url, serverKey: guard.serverKey, credentials: at('account.txt') };
  writeFileSync(at('server.json'), JSON.stringify(profile), { mode: 0o600 });
  await succeed('keygen', '--out', at('master.key'));
  await succeed('keygen', '--type', 'signing', '--out', at('signing.key'));
  await succeed('encrypt', at('net.onnx'), at('net.mguard'), '--recipient', at('master.key'));
});
beforeEach(() => guard.restore());
afterAll(async () => {
  await guard.close();
  await secure.close();
  moved.closeAllConnections();
  moved.close();
});

const login = (url: string, ...more: string[]) =>
  modelGuard(
    ...['login', '--url', url, '--server-key', guard.serverKey, '--credentials', at('account.txt')],
    ...['--profile', at('new.json'), ...more],
  );

describe('files and folders', () => {
  it('a missing input is a matter of its path, not of a store', async () => {
    const { code, stderr } = await modelGuard('inspect', at('nowhere.mguard'));
    expect([code, stderr]).toEqual([
      6,
      `model-guard: Cannot open ${at('nowhere.mguard')} (ENOENT). Check the path. [NOT_FOUND]\n`,
    ]);
  });

  it('a missing key file too', async () => {
    const { code, stderr } = await modelGuard('decrypt', at('net.mguard'), at('out'), '--identity', at('no.key'));
    expect([code, stderr]).toEqual([6, expect.stringMatching(/no\.key.* Check the path\. \[NOT_FOUND\]\n$/)]);
  });

  it.each([
    ['decrypt', ['decrypt', at('net.mguard'), at('gone/out'), ...OPEN], 'OUT'],
    ['load', ['load', 'net@1', '--store', at('store'), ...OPEN, '--out', at('gone/out')], '--out'],
    ['encrypt', ['encrypt', at('net.onnx'), at('gone/out'), '--recipient', at('master.key')], 'OUT'],
    ['split', ['split', at('net.mguard'), '--small', at('gone/out'), '--big', at('big')], '--small'],
    ['keygen', ['keygen', '--out', at('gone/out')], '--out'],
    ['audit-log export', ['audit-log', 'export', '--out', at('gone/out'), '--profile', at('server.json')], '--out'],
  ])('the missing folder of an output is found before %s begins', async (_, args, label) => {
    const { code, stderr } = await modelGuard(...args);
    expect([code, stderr]).toEqual([
      6,
      `model-guard: ${label} ${at('gone/out')}: there is no folder ${at('gone')}. Make it first (mkdir -p ${at('gone')}), or choose another place. [NOT_FOUND]\n`,
    ]);
    expect(guard.asked).toEqual([]);
  });
});

describe('servers', () => {
  it('a certificate of an unknown authority: name the authority', async () => {
    const { code, stderr } = await login(secure.url);
    expect([code, stderr]).toEqual([
      7,
      expect.stringMatching(
        /UNABLE_TO_VERIFY_LEAF_SIGNATURE\)\. No authority that is known here signed.*\(--ca of login, --store-ca of a store\)\. \[SERVER_UNREACHABLE\]\n$/,
      ),
    ]);
  });

  it('https:// to a port that speaks plain HTTP', async () => {
    const { code, stderr } = await login(guard.url.replace('http:', 'https:'));
    expect([code, stderr]).toEqual([
      7,
      expect.stringMatching(/What answers there speaks no TLS: check the port\..*\[SERVER_UNREACHABLE\]\n$/),
    ]);
  });

  it('a port on which nothing listens', async () => {
    const closed = createServer();
    await new Promise<void>((done) => closed.listen(0, '127.0.0.1', done));
    const port = portOf(closed);
    await new Promise<void>((done) => closed.close(() => done()));
    const { code, stderr } = await login(`http://127.0.0.1:${port}`);
    expect([code, stderr]).toEqual([
      7,
      `model-guard: http://127.0.0.1:${port} was not reached (ECONNREFUSED). Nothing listens there: check the port, and whether the server runs. [SERVER_UNREACHABLE]\n`,
    ]);
  });

  it("a store's redirect speaks of where it leads, and of no guard server", async () => {
    const url = `http://127.0.0.1:${portOf(moved)}`;
    const { code, stderr } = await modelGuard('load', 'net@1', '--store', url, ...OPEN, '--out', '-');
    expect([code, stderr]).toEqual([
      7,
      `model-guard: ${url} answers with a redirect (301), and none is followed. Give the address that answers itself (it leads to https://cdn.example.org), or have what stands there answer without a redirect. [RESPONSE_INVALID]\n`,
    ]);
  });

  it('a password that must be changed first, where the role is not the reason', async () => {
    guard.on('token', async () => ({ json: { token: await guard.token(), expires: guard.now + 900, mustChangePassword: true } }));
    guard.on('listDevices', () => failure(403, 'NOT_AUTHORISED', 'The password must be changed first.'));
    const { code, stderr } = await modelGuard('devices', 'list', '--profile', at('server.json'));
    expect([code, stderr]).toEqual([
      7,
      'model-guard: The password of this account was set by another person and must be changed first. Change it: `model-guard password --current FILE --new FILE`. [NOT_AUTHORISED]\n',
    ]);
  });

  it.each([
    ['show', 'models'],
    ['reject', 'models', '--payload', '0'.repeat(32)],
    ['revoke', 'models'],
  ])('a version that was left out of models %s', async (name, group, ...flags) => {
    const { code, stderr } = await modelGuard(group, name, 'defects', ...flags, '--profile', at('server.json'));
    expect([code, stderr]).toEqual([
      2,
      'model-guard: NAME@VERSION defects: defects has no version. Say defects@VERSION. [INVALID_ARGUMENT]\n',
    ]);
  });

  it('a pause that the server wants comes with its reason', async () => {
    let asked = 0;
    guard.on('token', () =>
      ++asked === 1 ? failure(429, 'RATE_LIMITED', 'x', { 'retry-after': '4' }) : failure(401, 'NOT_AUTHENTICATED'),
    );
    const { stderr } = await login(guard.url);
    expect(stderr).toMatch(/^Waiting \d s before the guard server is asked again: too many requests or log-ins in a minute\n/);
  });

  it('a server key may be given by its file', async () => {
    writeFileSync(at('server-key.txt'), `${guard.serverKey}\n`);
    const flags = ['--credentials', at('account.txt'), '--profile', at('by-file.json')];
    guard.on('account', () => ({
      json: {
        id: 'a'.repeat(32),
        email: 'ada@example.org',
        role: 'none',
        disabled: false,
        created: 0,
        mustChangePassword: false,
      },
    }));
    await succeed('login', '--url', guard.url, '--server-key', at('server-key.txt'), ...flags);
    expect(JSON.parse(readFileSync(at('by-file.json'), 'utf8'))).toMatchObject({ serverKey: guard.serverKey });
  });

  it("one's own signing key that is not registered", async () => {
    guard.on('listVersions', () => ({ json: { items: [] } }));
    guard.on('beginUpload', () => failure(409, 'SIGNATURE_INVALID', 'No publisher of net signed it'));
    const { code, stderr } = await modelGuard(
      ...['publish', at('net.onnx'), 'net@1', '--sign', at('signing.key')],
      ...['--profile', at('server.json')],
    );
    expect([code, stderr]).toEqual([
      4,
      expect.stringMatching(
        /Sign with a key that is registered for this model, or have yours registered \(`model-guard models publishers NAME --set …`\)\. \[SIGNATURE_INVALID\]\n$/,
      ),
    ]);
  });

  it("one's own large model: what the server takes is its administrator's matter, and nothing is hostile", async () => {
    guard.on('listVersions', () => ({ json: { items: [] } }));
    guard.on('beginUpload', () => failure(413, 'LIMIT_EXCEEDED', 'This account may keep 1 GiB'));
    const { code, stderr } = await modelGuard(
      ...['publish', at('net.onnx'), 'net@1', '--sign', at('signing.key')],
      ...['--profile', at('server.json')],
    );
    expect([code, stderr]).toEqual([3, expect.stringMatching(/This account may keep 1 GiB.*raise its limits/)]);
    expect(stderr).not.toMatch(/hostile/);
  });
});

describe('the causes of an error', () => {
  it('that the system reported stand in the message', async () => {
    mkdirSync(at('folder'));
    const { stderr } = await modelGuard(
      'protect',
      at('net.onnx'),
      'n@1',
      '--recipient',
      at('master.key'),
      '--store',
      at('net.onnx'),
    );
    expect(stderr).toMatch(/\((ENOTDIR|EEXIST)\)/);
    expect(stderr).not.toContain('the cause says');
  });

  it('are all shown with --verbose, without a stack and without secrets', async () => {
    const { code, stderr } = await login('http://127.0.0.1:1', '--verbose');
    expect(code).toBe(7);
    expect(stderr).toMatch(/\[SERVER_UNREACHABLE\]\n {2}because: connect ECONNREFUSED 127\.0\.0\.1:1 \[ECONNREFUSED\]\n$/);
    expect(stderr).not.toMatch(/ at .*\.(ts|js):|long phrase/);
  });

  it('are members of the JSON with --verbose and --json', async () => {
    const { stderr } = await login('http://127.0.0.1:1', '--verbose', '--json');
    const { error } = JSON.parse(stderr);
    expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE', causes: ['connect ECONNREFUSED 127.0.0.1:1 [ECONNREFUSED]'] });
    expect(JSON.parse((await login('http://127.0.0.1:1', '--json')).stderr).error).not.toHaveProperty('causes');
  });

  it('nothing is left behind', () => {
    expect(readdirSync(base)).not.toContain('new.json');
  });
});
