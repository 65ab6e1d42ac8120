/**
 * Replacing the signing key. If these fail, clients that trust an earlier key are lost, another key is accepted, or a crash
 * leaves neither key.
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DeviceKey, load, protect, SigningKey } from '@org/model-guard';
import {
  fingerprintOf,
  type RouteAnswer,
  readStatement,
  type SigningKey as ServerSigningKey,
  type Statement,
  signAs,
} from '@org/model-guard/server-kit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { codeOf } from '../../../test/support/failures.js';
import type { Member } from '../../src/base/caller.js';
import { signingKeyFile } from '../../src/keys/files.js';
import { replaceSigningKey } from '../../src/keys/succession.js';
import { openServer } from '../../src/start/server.js';
import { clientOf, readyDevice } from '../support/clients.js';
import { onPostgres } from '../support/database.js';
import { outcomeOf } from '../support/outcomes.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { entitle, Machine, Publisher, takeLease, termsOf } from '../support/story.js';

let server: TestServer;
/** The first signing key. */
let first: string;
beforeEach(async () => {
  server = await startTestServer();
  first = current();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await server.close();
});

type Replacement = RouteAnswer<'rotateSigningKey'>;
const current = (): string => server.context.keys.signing.publicKey.toString();
const fileOf = (key: string): string => signingKeyFile(server.config.keysFolder, key);
const signingFiles = async (): Promise<string[]> =>
  (await readdir(server.config.keysFolder)).filter((name) => name.startsWith('signing'));
const replace = () => server.request('apiAdmin', 'rotateSigningKey', { body: {} });
async function replaced(): Promise<Replacement> {
  const answer = await replace();
  expect(answer.statusCode, answer.body).toBe(200);
  return answer.json();
}
const facts = async (): Promise<RouteAnswer<'server'>> => (await server.request('operator', 'server')).json();
const caller = (): Member => ({ address: '', request: 'r', account: server.accounts.apiAdmin });

/** Two replacements at once: neither goes on before both have read the key in use, so that the second cannot begin after the first. */
async function replaceTwiceAtOnce() {
  const { keys } = server.context;
  const make = keys.makeSigning.bind(keys);
  const waiting: (() => void)[] = [];
  vi.spyOn(keys, 'makeSigning').mockImplementation(async () => {
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (waiting.length === 2) for (const go of waiting) go();
    });
    return make();
  });
  return Promise.allSettled([replaceSigningKey(server.context, caller()), replaceSigningKey(server.context, caller())]);
}

describe('a succession', () => {
  it('is a chain that leads from the first key to the one that signs now, over restarts', async () => {
    const turns = [await replaced(), await replaced()];
    server = await server.restart();
    turns.push(await replaced());
    server = await server.restart();
    expect(turns.map(({ previous }) => previous)).toEqual([first, ...turns.slice(0, -1).map(({ key }) => key)]);
    expect(turns.map(({ fingerprint }) => fingerprint)).toEqual(turns.map(({ key }) => fingerprintOf(key)));
    const newest = turns.at(-1)?.key ?? '';
    expect(current()).toBe(newest);

    const { server: statement, succession } = await facts();
    expect(succession.map(({ key }) => key)).toEqual(turns.map(({ previous }) => previous));
    const about = { server: server.context.serverId };
    const named = succession.map((link) => readStatement('succession', link, { ...about, trusted: [link.key] }).next);
    expect(named).toEqual(turns.map(({ key }) => key));
    readStatement('server', statement, { ...about, trusted: [newest] });
    const jwks = (await server.request(undefined, 'jwks')).json();
    readStatement('jwks', jwks.statement, { ...about, trusted: [newest] });
    // Without a token: clients follow the chain before they log in.
    const nonce = randomBytes(32).toString('base64url');
    const proof = (await server.request(undefined, 'serverKey', { query: { nonce } })).json();
    expect(proof.succession).toEqual(succession);
    expect(readStatement('key', proof.statement, { ...about, trusted: [newest] })).toEqual({
      kind: 'key',
      ...about,
      time: server.clock.now,
      nonce,
    });
  });

  it('is not signed for a nonce that is too short or too long, and leaves no event', async () => {
    const events = async () => (await server.context.db.selectFrom('audit').select('seq').execute()).length;
    const before = await events();
    for (const bytes of [31, 32, 33]) {
      const query = { nonce: randomBytes(bytes).toString('base64url') };
      expect((await server.request(undefined, 'serverKey', { query })).statusCode).toBe(bytes === 32 ? 200 : 400);
    }
    expect(await events()).toBe(before);
  });

  it('has its file for this user alone; the one of the old key is not needed any more', async () => {
    const { key } = await replaced();
    expect((await stat(fileOf(key))).mode & 0o777).toBe(0o600);
    await rm(join(server.config.keysFolder, 'signing.key'));
    server = await server.restart();
    expect(current()).toBe(key);
  });

  it('follows a key that is mounted as a secret, may be mounted in its place, and does not start without its own', async () => {
    const secrets = join(server.folder, 'secrets');
    const mounted = join(secrets, 'model_guard_signing_key');
    await mkdir(secrets);
    await rename(join(server.config.keysFolder, 'signing.key'), mounted);
    server = await server.restart();
    expect(current()).toBe(first);
    const { key } = await replaced();
    server = await server.restart();
    expect(current()).toBe(key);
    await rename(fileOf(key), join(server.folder, 'elsewhere'));
    await expect(server.restart()).rejects.toMatchObject({ code: 'KEY_INVALID' });
    await rename(join(server.folder, 'elsewhere'), mounted);
    server = await server.restart();
    expect(current()).toBe(key);
    expect((await replaced()).previous).toBe(key);
  });

  it('signs leases and their policies at once', async () => {
    const publisher = new Publisher(server);
    await publisher.register();
    const made = await publisher.publish();
    await entitle(server, 'operator');
    const machine = await Machine.ready(server);
    await replaced();
    const grant = await takeLease(machine);
    expect(grant.lease.key).toBe(current());
    expect(termsOf(server, grant).device).toBe(machine.id);
    expect(await machine.open(server, grant, made.big, publisher.key)).toEqual(made.plain);
  });

  it('is recorded with the new key, or with the refused one', async () => {
    const { key } = await replaced();
    const events = async () =>
      (await server.request('admin', 'auditEvents', { query: { action: 'keys.rotate-signing' } })).json();
    expect((await events()).items).toMatchObject([
      { outcome: 'success', resource: `key:${key}`, personal: { detail: `in the place of ${first}` } },
    ]);
    await replaceTwiceAtOnce();
    expect((await events()).items.map(({ outcome }: { outcome: string }) => outcome).sort()).toEqual([
      'failure',
      'success',
      'success',
    ]);
  });
});

describe('nothing by halves', () => {
  it('killed after the file and before the commit, the old key stays', async () => {
    await server.context.keys.makeSigning();
    server = await server.restart();
    expect(current()).toBe(first);
    expect((await facts()).succession).toEqual([]);
    const { previous } = await replaced();
    expect(previous).toBe(first);
  });

  it('where the audit event cannot be written, the old key stays', async () => {
    vi.spyOn(server.context.audit, 'append').mockRejectedValueOnce(new Error('the disk is full'));
    expect(outcomeOf(await replace())).toBe('500 SERVER_FAILED');
    expect(current()).toBe(first);
    server = await server.restart();
    expect(current()).toBe(first);
    expect((await facts()).succession).toEqual([]);
  });

  it('killed after the commit, the new key signs', async () => {
    vi.spyOn(server.context.keys, 'reload').mockRejectedValueOnce(new Error('killed'));
    expect(outcomeOf(await replace())).toBe('500 SERVER_FAILED');
    server = await server.restart();
    expect(current()).not.toBe(first);
    expect((await facts()).succession).toHaveLength(1);
  });

  it('two at once are one: a key never names two successors, and the other file is gone', async () => {
    const both = await replaceTwiceAtOnce();
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'ALREADY_EXISTS' } });
    expect((await facts()).succession).toHaveLength(1);
    expect(await signingFiles()).toHaveLength(2);
  });

  it.skipIf(!onPostgres)('in another process is taken up by this one before it signs', async () => {
    const other = await openServer(server.config, { now: server.context.now });
    try {
      const { key } = await replaced();
      expect(other.context.keys.signing.publicKey.toString()).toBe(first);
      const signer = await other.context.keys.newest(other.context.db);
      expect(signer.key.publicKey.toString()).toBe(key);
      expect(signer.succession.map((link) => link.key)).toEqual([first]);
      const next = await replaceSigningKey(other.context, caller());
      expect(next.previous).toBe(key);
      expect((await replaced()).previous).toBe(next.key);
    } finally {
      await other.close();
    }
  });
});

describe('an older copy of the database, in its place while the server runs', () => {
  /** Takes back every replacement of the signing key, as the copy has it. */
  async function failOver(): Promise<void> {
    const { db } = server.context;
    const { value } = await db.selectFrom('meta').select('value').where('key', '=', 'keys').executeTakeFirstOrThrow();
    await db.deleteFrom('successions').execute();
    const keys = JSON.stringify({ ...JSON.parse(value), signing: first });
    await db.updateTable('meta').set({ value: keys }).where('key', '=', 'keys').execute();
  }
  const signers = async (): Promise<unknown[]> => [
    (await facts()).server.key,
    (await server.request(undefined, 'jwks')).json().statement.key,
  ];
  const ready = async (): Promise<number> => (await server.request(undefined, 'ready')).statusCode;

  it('is signed for by the key that it names', async () => {
    const { key } = await replaced();
    expect(await signers()).toEqual([key, key]);
    await failOver();
    expect(await signers()).toEqual([first, first]);
    expect((await facts()).succession).toEqual([]);
    expect(await ready()).toBe(200);
  });

  it.each([
    ['an earlier successor', async () => (await replaced()).key],
    ['the first one, mounted as a secret', async () => first],
  ])('that names %s', async (_, prepare) => {
    const secrets = join(server.folder, 'secrets');
    await mkdir(secrets);
    await rename(join(server.config.keysFolder, 'signing.key'), join(secrets, 'model_guard_signing_key'));
    const named = await prepare();
    const { db } = server.context;
    const [meta, links] = [
      await db.selectFrom('meta').selectAll().execute(),
      await db.selectFrom('successions').selectAll().execute(),
    ];
    await replaced();
    await db.deleteFrom('successions').execute();
    if (links.length > 0) await db.insertInto('successions').values(links).execute();
    for (const { key, value } of meta) await db.updateTable('meta').set({ value }).where('key', '=', key).execute();
    expect(await signers()).toEqual([named, named]);
    expect((await facts()).succession).toHaveLength(links.length);
  });

  it('whose key is gone is not signed for at all, and the server is not ready', async () => {
    await replaced();
    await rm(join(server.config.keysFolder, 'signing.key'));
    await failOver();
    expect(await ready()).toBe(500);
    for (const name of ['server', 'jwks'] as const)
      expect(outcomeOf(await server.request('operator', name))).toBe('500 SERVER_FAILED');
    expect(
      server.logged.some(
        ({ err }) =>
          /"code":"NOT_FOUND"/.test(JSON.stringify(err)) &&
          JSON.stringify(err).includes(`The signing key ${first}, which the database names`),
      ),
    ).toBe(true);
  });

  it.each(['server_id', 'log_id', 'keys'])('of another server (%s) is not signed for at all', async (key) => {
    const { db } = server.context;
    const { value } = await db.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirstOrThrow();
    const other = key === 'keys' ? JSON.stringify({ ...JSON.parse(value), audit: first }) : '0'.repeat(32);
    await db.updateTable('meta').set({ value: other }).where('key', '=', key).execute();
    expect(await ready()).toBe(503);
    for (const name of ['server', 'jwks'] as const) expect((await server.request('operator', name)).statusCode).toBe(503);
    expect((await server.request('admin', 'auditCheckpoint')).statusCode).toBe(503);
    await db.updateTable('meta').set({ value }).where('key', '=', key).execute();
    expect(await ready()).toBe(200);
  });

  it('that names an encryption key which is destroyed makes the server not ready', async () => {
    const { db } = server.context;
    await db.updateTable('encryption_keys').set({ state: 'retiring', until: 0 }).execute();
    const lost = { key: `mgx1:${'A'.repeat(43)}`, state: 'current', until: null, created: 0 } as const;
    await db.insertInto('encryption_keys').values(lost).execute();
    expect(await ready()).toBe(500);
    await db.deleteFrom('encryption_keys').where('key', '=', lost.key).execute();
    await db.updateTable('encryption_keys').set({ state: 'current', until: null }).execute();
    expect(await ready()).toBe(200);
  });
});

describe('clients', () => {
  const plain = new Uint8Array(randomBytes(100_000));
  const signer = SigningKey.generate();
  const publishers = signer.publicKey;
  const opens = async (guard: ReturnType<typeof clientOf>): Promise<void> => {
    using model = await load('net@1', { from: guard });
    expect(Buffer.compare(model.bytes, plain)).toBe(0);
  };

  beforeEach(async () => {
    await server.listen();
    const file = join(server.folder, 'net.onnx');
    writeFileSync(file, plain);
    const admin = clientOf(server, { role: 'admin' });
    await admin.publishers.set('net', [publishers]);
    await protect(file, { name: 'net', version: '1', signer, to: admin });
    await entitle(server, 'operator', { name: 'net', seats: 100 });
  });

  it('that pinned any key of the chain load, known clients and new ones', async () => {
    const device = DeviceKey.generate();
    const { guard } = await readyDevice(server, { device, publishers });
    await opens(guard);
    const { key: second } = await replaced();
    // Within the minutes for which a cached statement counts as current.
    await opens(guard);
    const { key: third } = await clientOf(server, { role: 'apiAdmin' }).keys.rotateSigning();
    await opens(guard);
    expect((await guard.server()).signingKeys).toEqual([first, second, third]);
    for (const serverKey of [first, second, third]) {
      const { guard: fresh } = await readyDevice(server, { publishers, serverKey, state: join(server.folder, 'fresh') });
      await opens(fresh);
      expect((await fresh.server()).signingKeys).toEqual([first, second, third].slice([first, second, third].indexOf(serverKey)));
    }
  });

  it('open a lease that the old key signed without the server, to its end', async () => {
    const device = DeviceKey.generate();
    const { guard } = await readyDevice(server, { device, publishers });
    const kept = await guard.lease('net@1');
    await replaced();
    const away = clientOf(server, { device, publishers, serverKey: first, url: 'http://127.0.0.1:1' });
    await opens(away);
    // It learns of the new key, and still accepts statements of the old one.
    await guard.server();
    await opens(clientOf(server, { device, publishers, serverKey: first, url: 'http://127.0.0.1:1' }));
    server.clock.advance(kept.offlineUntil - server.clock.now);
    expect((await away.lease('net@1')).source).toBe('kept');
    server.clock.advance(1);
    expect(await codeOf(() => away.lease('net@1'))).toBe('LEASE_EXPIRED');
  });

  it('open without the server what the successor signed', async () => {
    const device = DeviceKey.generate();
    const { guard } = await readyDevice(server, { device, publishers });
    await replaced();
    await guard.lease('net@1');
    await opens(clientOf(server, { device, publishers, serverKey: first, url: 'http://127.0.0.1:1' }));
  });

  it.each<[string, (link: Statement, stranger: ServerSigningKey) => Statement]>([
    ['by a stranger', (_, stranger) => link(stranger)],
    ["by a stranger, under the old key's name", (true_, stranger) => ({ ...link(stranger), key: true_.key })],
    ['that names another key', ({ signature, key }, stranger) => ({ payload: link(stranger).payload, signature, key })],
  ])('refuse a link of the chain %s', async (_, forge) => {
    await replaced();
    const stranger = SigningKey.generate();
    const [truth] = (await facts()).succession;
    const statement = JSON.stringify(forge(truth as Statement, stranger));
    await server.context.db.updateTable('successions').set({ statement }).execute();
    await server.context.keys.reload(server.context.db);
    const guard = clientOf(server, { serverKey: first });
    expect(await codeOf(() => guard.server())).toBe('SERVER_UNTRUSTED');
  });
  /** As a stranger would say it. */
  const link = (by: ServerSigningKey): Statement =>
    signAs(by, { kind: 'succession', server: server.context.serverId, time: server.clock.now, next: by.publicKey.toString() });
});
