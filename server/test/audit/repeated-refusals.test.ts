/** Rows that accounts without rights can make (docs/deployment.md, what grows). If these fail, any caller can fill the disk. */
import { randomBytes } from 'node:crypto';
import { verifyAuditLog } from '@org/model-guard';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { outcomeOf } from '../support/outcomes.js';
import { startTestServer, type TestServer } from '../support/server.js';
import { Machine } from '../support/story.js';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

const id = (): string => randomBytes(16).toString('hex');
const eventsOf = (action: string) =>
  server.context.db.selectFrom('audit').select(['seq', 'outcome', 'bytes']).where('action', '=', action).orderBy('seq').execute();
const refused = () => server.request('none', 'listUsers', { query: {} });

it('refusals of one account beyond twenty in a minute are one event, with their number', async () => {
  for (let asked = 0; asked < 50; asked++) expect(outcomeOf(await refused())).toBe('403 NOT_AUTHORISED');
  expect((await eventsOf('authz.denied')).length).toBe(20);
  // Another account, and another action, are written down all the same.
  await server.request('operator', 'listUsers', { query: {} });
  await server.request('operator', 'getDevice', { params: { device: id() } });
  expect((await eventsOf('authz.denied')).length).toBe(21);
  expect((await eventsOf('devices.read')).length).toBe(1);

  server.clock.advance(60);
  await server.request('operator', 'account');
  expect((await eventsOf('authz.denied')).length).toBe(22);
  const { items } = (await server.request('apiAdmin', 'auditEvents', { query: { action: 'authz.denied', limit: 1 } })).json();
  expect(items[0]).toMatchObject({
    outcome: 'denied',
    personal: { account: server.accounts.none.id, detail: expect.stringMatching(/^30 more/) },
  });
  const checkpoint = (await server.request('apiAdmin', 'auditCheckpoint', { query: {} })).json();
  const log = (await server.request('apiAdmin', 'exportAudit')).rawPayload;
  const report = await verifyAuditLog(log, { checkpoint, key: server.context.keys.audit.publicKey });
  expect(report).toMatchObject({ covered: checkpoint.seq, notCovered: 1 });
});

it('refusals that were counted are written down at the latest when the server stops', async () => {
  for (let asked = 0; asked < 25; asked++) await refused();
  server = await server.restart();
  expect((await eventsOf('authz.denied')).length).toBe(21);
});

it('refusals within a minute are counted on over the hourly cleanup', async () => {
  for (let asked = 0; asked < 25; asked++) await refused();
  await server.context.cleanup.run();
  for (let asked = 0; asked < 5; asked++) await refused();
  expect((await eventsOf('authz.denied')).length).toBe(20);
  server.clock.advance(60);
  await server.context.cleanup.run();
  expect((await eventsOf('authz.denied')).length).toBe(21);
});

it('refusals of a proven request are counted too', async () => {
  const machine = new Machine(server);
  for (let asked = 0; asked < 25; asked++) await machine.take({ name: 'nothing' });
  expect((await eventsOf('leases.take')).length).toBe(20);
});

it('challenges that are over go when the same account asks for another one', async () => {
  const machine = await Machine.ready(server);
  for (let asked = 0; asked < 5; asked++) await machine.begin();
  const rows = () => server.context.db.selectFrom('challenges').select('challenge').execute();
  expect((await rows()).length).toBe(5);
  server.clock.advance(61);
  await machine.begin();
  expect((await rows()).length).toBe(1);
});

it('devices of one account that wait for approval are two hundred at most', async () => {
  const { db } = server.context;
  const waiting = await Machine.ready(server);
  const row = await db.selectFrom('devices').selectAll().where('id', '=', waiting.id).executeTakeFirstOrThrow();
  const others = Array.from({ length: 199 }, () => ({ ...row, id: id(), public_key: id(), state: 'pending' as const }));
  await db.insertInto('devices').values(others).execute();
  const [last, beyond] = [new Machine(server), new Machine(server)];
  expect(outcomeOf(await last.enrol())).toBe('201');
  expect(outcomeOf(await beyond.enrol())).toBe('413 LIMIT_EXCEEDED');
  // Of another account they count by themselves; a decision makes room.
  expect(outcomeOf(await new Machine(server, 'validator').enrol())).toBe('201');
  expect(outcomeOf(await last.approve())).toBe('200');
  expect(outcomeOf(await beyond.enrol())).toBe('201');
});

it('big parts that no version names are a thousand at most, empty ones too', async () => {
  const { db } = server.context;
  const account = server.accounts.admin.id;
  const rows = Array.from({ length: 999 }, () => ({ part: `${id()}-0`, account, size: 0, created: server.clock.now }));
  await db.insertInto('disk_parts').values(rows).execute();
  const put = (role: 'admin' | 'operator') =>
    server.request(role, 'putPart', { params: { name: 'net', version: '1', part: `${id()}-0` }, body: new Uint8Array(0) });
  expect(outcomeOf(await put('admin'))).toBe('201');
  expect(outcomeOf(await put('admin'))).toBe('413 LIMIT_EXCEEDED');
  expect(outcomeOf(await put('operator'))).toBe('201');
});
