/**
 * A whole story at log level `trace`, with every mistake that puts a secret where it does not belong; then the log is looked through for
 * all of them. Every other server test does so with its own log (TestServer.close).
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { DeviceKey, encryptFile, load, MasterKey, protect, SigningKey } from '@org/model-guard';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { print } from '../../../test/support/print.js';
import { clientOf, readyDevice } from '../support/clients.js';
import { PASSWORD, startTestServer, type TestServer } from '../support/server.js';
import { entitle, flipped, Machine, Publisher } from '../support/story.js';

const plain = new Uint8Array(randomBytes(300_000));
const signer = SigningKey.generate();
const secret = (): string => randomBytes(21).toString('base64url');

let folder: string;
let server: TestServer;
const statuses = new Map<number, number>();
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'guard-logs-'));
  server = await startTestServer();
  await server.listen();
  server.secrets.payload('the model', plain);
  for (const { email } of Object.values(server.accounts)) server.secrets.text(`the address ${email}`, email);
});
afterAll(async () => {
  const lines = server.lines.length;
  // Looks through the log.
  await server.close();
  rmSync(folder, { recursive: true, force: true });
  const answers = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${count} times ${status}`);
  print(`logs: ${lines} lines hold none of ${server.secrets.count} secrets; raw answers: ${answers.join(', ')}`);
});

/** A secret that only this test knows, to be sent where it does not belong. */
function planted(what: string): string {
  const made = secret();
  server.secrets.text(what, made);
  return made;
}
async function ask(method: string, path: string, init: { body?: string | Uint8Array; headers?: Record<string, string> } = {}) {
  const answer = await fetch(`${server.url}${path}`, { method, ...init } as RequestInit);
  statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
  return { status: answer.status, text: await answer.text() };
}
const json = { 'content-type': 'application/json' };
const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  ask('POST', path, { body: typeof body === 'string' ? body : JSON.stringify(body), headers: { ...json, ...headers } });
const bearer = async (role: 'operator' | 'apiAdmin' | 'admin') => ({ authorization: `Bearer ${await server.token(role)}` });

describe('a log at level trace has no secret', () => {
  it('of log-ins that succeed, fail, and are malformed', async () => {
    const { email } = server.accounts.operator;
    expect((await post('/auth/token', { email, password: PASSWORD })).status).toBe(200);
    expect((await post('/login', { email, password: planted('a wrong password') })).status).toBe(401);
    expect((await post('/login', { email: 'unknown@example.com', password: planted('a password of no account') })).status).toBe(
      401,
    );
    const malformed: [string, string][] = [
      ['JSON that ends early', `{"email":"${email}","password":"${planted('an early end')}"`],
      ['JSON with a stray letter', `{"password":"${planted('a stray letter')}"x}`],
      ['no JSON at all', planted('no JSON')],
      ['a text', JSON.stringify(planted('a text'))],
      ['a list', JSON.stringify([planted('a list')])],
      ['a number of bytes', JSON.stringify({ email, password: [...Buffer.from(planted('bytes'))] })],
      ['a member of that name', JSON.stringify({ email, password: PASSWORD, [planted('a member')]: 1 })],
      ['an address that is none', JSON.stringify({ email: planted('a password as address'), password: PASSWORD })],
      ['a deeper one', JSON.stringify({ email, password: { password: planted('a deeper one') } })],
      ['too long', JSON.stringify({ email, password: planted('too long').repeat(1000) })],
    ];
    for (const [what, body] of malformed) expect((await post('/auth/token', body)).status, what).toBe(400);
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    expect((await post('/auth/token', `email=a&password=${planted('a form')}`, form)).status).toBe(415);
    expect((await ask('GET', `/auth/token?password=${planted('a password in an address')}`)).status).toBe(404);
    expect(
      (await post(`/auth/token?password=${planted('another in an address')}`, { email, password: PASSWORD })).status,
    ).toBeLessThan(500);
  });

  it('of tokens in wrong places, and of wrong tokens', async () => {
    const token = await server.token('operator');
    const basic = Buffer.from(`operator@example.com:${planted('basic authentication')}`).toString('base64');
    server.secrets.text('basic authentication, encoded', basic);
    const headers = [
      `Bearer ${planted('a password as token')}`,
      `Bearer ${flipped(token)}`,
      `Bearer ${token}${planted('an end of a token')}`,
      `bearer  ${token}`,
      `Token ${token}`,
      token,
      `Basic ${basic}`,
      `Bearer ${token}, Bearer ${planted('a second token')}`,
      `Bearer ${planted('long').repeat(200)}`,
    ];
    for (const authorization of headers)
      expect((await ask('GET', '/account', { headers: { authorization } })).status).toBeLessThan(500);
    for (const path of [
      `/account?token=${token}`,
      `/versions?access_token=${token}`,
      `/versions?cursor=${token}`,
      `/metrics?${token}`,
    ])
      expect((await ask('GET', path, { headers: await bearer('operator') })).status).toBeLessThan(500);
    const cookie = { cookie: `token=${token}`, 'proxy-authorization': `Bearer ${token}`, referer: `http://x/?token=${token}` };
    expect((await ask('GET', '/account', { headers: cookie })).status).toBe(401);
  });

  it('of secrets as the wrong value of whatever field', async () => {
    const admin = await bearer('apiAdmin');
    const wrong = (what: string): Record<string, unknown> => ({
      email: 'new@example.com',
      role: 'operator',
      password: planted(what),
    });
    const bodies: [string, string, unknown][] = [
      ['POST', '/users', { ...wrong('a'), role: planted('a role') }],
      ['POST', '/users', { ...wrong('b'), password: planted('a password with a name').slice(0, 11) }],
      ['POST', '/users', { ...wrong('c'), name: [planted('a name')] }],
      ['POST', '/account/password', { current: planted('a wrong current one'), next: planted('a next one') }],
      ['POST', '/account/password', { current: PASSWORD, next: [planted('a next one in a list')] }],
      ['POST', '/devices/challenge', { publicKey: planted('a key') }],
      ['POST', '/leases', { device: planted('a device'), challenge: planted('a challenge'), name: 'net' }],
      [
        'POST',
        '/archives',
        { name: 'a', format: 'legacy', sha256: planted('a digest'), size: 1, fragment: planted('a fragment') },
      ],
      ['POST', '/keys/rotate', { acceptSeconds: planted('seconds') }],
      ['PUT', '/models/net/publishers', { keys: [planted('a publisher')] }],
      ['PUT', '/models/net/versions/1', { small: planted('a small part') }],
    ];
    for (const [method, path, body] of bodies) {
      const { status } = await ask(method, path, { body: JSON.stringify(body), headers: { ...json, ...admin } });
      expect([400, 401, 403, 409], `${method} ${path}`).toContain(status);
    }
  });

  it('of models, leases, proofs, archives and keys', async () => {
    const admin = clientOf(server, { role: 'admin' });
    const source = join(folder, 'net.onnx');
    writeFileSync(source, plain);
    await admin.publishers.set('net', [signer.publicKey]);
    await protect(source, { name: 'net', version: '1', signer, to: admin });
    await entitle(server, 'operator', { name: 'net', seats: 10 });
    const { guard } = await readyDevice(server, { publishers: signer.publicKey });
    for (let n = 0; n < 3; n++) {
      using model = await load('net@1', { from: guard });
      expect(Buffer.compare(model.bytes, plain)).toBe(0);
    }
    const key = MasterKey.generate();
    const [keyFile, archive] = [join(folder, 'master.key'), join(folder, 'a.mguard')];
    await key.save(keyFile);
    server.secrets.keyFiles(folder);
    await encryptFile(source, archive, { recipients: [key] });
    await admin.archives.register(archive, { name: 'a', key });
    await entitle(server, 'operator', { kind: 'archive', name: 'a', seats: 10 });
    expect((await buffer(guard.unlock(archive, { name: 'a', unsigned: 'accept' }).stream)).equals(plain)).toBe(true);
    await clientOf(server, { role: 'apiAdmin' }).keys.rotate({ acceptSeconds: 0 });
    using after = await load('net@1', { from: guard });
    expect(after.bytes.length).toBe(plain.length);
  });

  it('of publications and proofs that are refused', async () => {
    const machine = await Machine.ready(server);
    const other = new Machine(server);
    const refusals = [
      await machine.take({ name: 'net', version: '1' }, { key: other.key }),
      await machine.take({ name: 'net', version: '1', challenge: planted('an old challenge') }),
      await machine.take({ name: 'nothing', version: '1' }),
      await other.take({ name: 'net', version: '1' }),
      await machine.unlock('a', { key: DeviceKey.generate() }),
    ];
    const publisher = new Publisher(server);
    await publisher.register('refused');
    const made = await publisher.make({ name: 'refused' });
    server.secrets.payload('a model that is refused', made.plain).payload('its big part', made.big.slice(200));
    refusals.push(await publisher.commit(made), await publisher.upload({ ...made, bigName: 'x' }));
    await publisher.upload(made);
    const damaged = Buffer.from(made.small);
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    refusals.push(await publisher.commit({ ...made, small: damaged }));
    refusals.push(await publisher.commit({ ...made, small: made.small.slice(0, 300) }));
    refusals.push(await publisher.commit({ ...made, version: '2' }));
    for (const { statusCode } of refusals) expect([400, 403, 404, 409]).toContain(statusCode);
  });

  it('of a server whose database is broken', async () => {
    const { db } = server.context;
    const machine = await Machine.ready(server);
    const publisher = new Publisher(server);
    await publisher.register('broken');
    const made = await publisher.make({ name: 'broken' });
    await publisher.upload(made);
    const fragment = planted('a fragment that is not kept');
    for (const table of ['versions', 'leases', 'archives', 'users', 'devices'] as const)
      await db.schema
        .alterTable(table)
        .renameTo(`${table}_gone` as typeof table)
        .execute()
        .catch(() => undefined);
    const { email } = server.accounts.operator;
    const failures = [
      await server.request(undefined, 'token', { body: { email, password: PASSWORD } }),
      await server.request(undefined, 'token', { body: { email, password: planted('into a broken database') } }),
      await publisher.commit(made).catch(() => undefined),
    ];
    for (const table of ['users', 'devices'] as const)
      await db.schema
        .alterTable(`${table}_gone` as typeof table)
        .renameTo(table)
        .execute();
    failures.push(await publisher.commit(made), await machine.take({ name: 'net' }), await machine.unlock('a'));
    const body = { name: 'b', format: 'legacy', sha256: 'ab'.repeat(32), size: 1, fragment } as const;
    failures.push(await server.request('admin', 'registerArchive', { body }));
    for (const failure of failures) if (failure) statuses.set(failure.statusCode, (statuses.get(failure.statusCode) ?? 0) + 1);
    expect(failures.filter((failure) => failure?.statusCode === 500).length).toBeGreaterThanOrEqual(4);
    expect(server.logged.some(({ msg, err }) => msg === 'failed' && JSON.stringify(err).includes('no such table'))).toBe(true);
  });
});
