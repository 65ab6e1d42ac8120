/** Erasure removes an account to the byte; the log stays whole, and no other account loses anything. */
import { readFileSync } from 'node:fs';
import { verifyAuditLog } from '@org/model-guard';
import type { Checkpoint } from '@org/model-guard/server-kit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sqliteDriver } from '../../src/database/sqlite/drivers/index.js';
import { databaseFile } from '../../src/database/sqlite/file.js';
import { asSuperuser, filesOfDatabase, onPostgres } from '../support/database.js';
import { filesIn, findTexts } from '../support/needles.js';
import { makePersonalData, person, texts } from '../support/person.js';
import { PASSWORD, startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ config: { addressPolicy: 'keep' } });
});
afterAll(() => server.close());

/** The files on the disk: the data folder, and the files of the database. */
const stored = async (): Promise<Map<string, Buffer>> => {
  const { databaseUrl } = server.config;
  return new Map([...filesIn(server.folder), ...(databaseUrl === undefined ? [] : await filesOfDatabase(databaseUrl))]);
};
const holding = async (bytes: Buffer): Promise<boolean> => [...(await stored()).values()].some((place) => place.includes(bytes));
const everything = async (): Promise<Map<string, Buffer>> => {
  const places = await stored();
  places.set('export', (await server.request('admin', 'exportAudit')).rawPayload);
  return places;
};
const verifies = async (): Promise<void> => {
  const signed: Checkpoint = (await server.request('admin', 'auditCheckpoint')).json();
  const log = (await server.request('admin', 'exportAudit')).rawPayload;
  const report = await verifyAuditLog(log, { checkpoint: signed, key: server.context.keys.audit.publicKey });
  expect(report.covered).toBe(signed.seq);
};
/** Runs `task` while another process has begun to read and has not ended. */
async function whileRead(task: () => Promise<void>): Promise<void> {
  const { databaseUrl } = server.config;
  if (databaseUrl !== undefined)
    return await asSuperuser(async (client) => {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await client.query('SELECT count(*) FROM meta');
      await task();
    }, new URL(databaseUrl).pathname);
  const reader = (await sqliteDriver()).open(databaseFile(server.folder), { busyMs: 5000 });
  try {
    reader.exec('BEGIN');
    reader.prepare('SELECT count(*) FROM subjects').all([]);
    await task();
  } finally {
    reader.close();
  }
}
const countOf = async (table: 'users' | 'subjects' | 'devices' | 'entitlements' | 'leases' | 'login_failures' | 'challenges') =>
  (await server.context.db.selectFrom(table).selectAll().execute()).length;

describe('looking for texts', () => {
  it('finds them in every form, within other bytes', () => {
    for (const text of texts)
      for (const hidden of [text, `x${text}yz`, `xy${text}z`, `xyz${text}`])
        for (const encoding of ['utf8', 'utf16le', 'hex', 'base64', 'base64url'] as const) {
          const place = Buffer.from(
            encoding === 'utf16le' ? hidden : Buffer.from(hidden).toString(encoding),
            encoding === 'utf16le' ? 'utf16le' : 'utf8',
          );
          expect(findTexts(new Map([['place', place]]), [text]), `${text} in ${encoding}`).not.toEqual([]);
        }
  });
});

describe('erasing an account', () => {
  it('leaves no byte of what was personal, and the log whole; before, nothing lay in the clear', async () => {
    const tables = ['users', 'subjects', 'devices', 'entitlements', 'leases', 'login_failures', 'challenges'] as const;
    const before = await Promise.all(tables.map(countOf));
    const { id, subject, authorization } = await makePersonalData(server, person);
    const row = await server.context.db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
    const { wrapped } = await server.context.db
      .selectFrom('subjects')
      .select('wrapped')
      .where('id', '=', subject)
      .executeTakeFirstOrThrow();
    const challenge = await server.app.inject({
      method: 'POST',
      url: '/leases/challenge',
      remoteAddress: person.ip,
      headers: { authorization },
      payload: {},
    });
    expect(challenge.statusCode, challenge.body).toBe(200);
    expect(findTexts(await everything(), texts)).toEqual([]);

    const own = await server.app.inject({ url: '/account/data', remoteAddress: person.ip, headers: { authorization } });
    for (const text of texts) expect(own.body).toContain(text);
    expect(await holding(wrapped)).toBe(true);

    const erased = await server.request('apiAdmin', 'eraseUser', { params: { account: id } });
    expect(erased.statusCode, erased.body).toBe(204);
    expect(await Promise.all(tables.map(countOf))).toEqual(before);
    expect(server.logged).not.toContainEqual(expect.objectContaining({ msg: expect.stringContaining('the hourly pass') }));
    const places = await everything();
    expect(findTexts(places, texts)).toEqual([]);
    for (const [place, bytes] of places)
      for (const gone of [wrapped, row.email_index, Buffer.from(row.password), row.profile])
        expect(bytes.includes(gone), place).toBe(false);
    await verifies();

    const after = await server.app.inject({ url: '/account', headers: { authorization } });
    expect(after.statusCode).toBe(401);
    const relogin = await server.app.inject({
      method: 'POST',
      url: '/login',
      payload: { email: person.email, password: PASSWORD },
    });
    expect(relogin.statusCode).toBe(401);
    const events = (await server.request('admin', 'auditEvents', { query: { account: id, limit: 500 } })).json().items;
    const erasure = events.find(({ action }: { action: string }) => action === 'subjects.erase');
    expect(erasure.personal.account).toBe(server.accounts.apiAdmin.id);
    for (const event of events) if (event.subject === subject) expect(event).not.toHaveProperty('personal');
  });

  it.skipIf(onPostgres)('writes the file of SQLite anew where a page still holds a copy', async () => {
    const { id, subject } = await makePersonalData(server, { ...person, email: 'copied.q8x7@example.org' });
    const { wrapped } = await server.context.db
      .selectFrom('subjects')
      .select('wrapped')
      .where('id', '=', subject)
      .executeTakeFirstOrThrow();
    // A rebuilt page may keep the bytes where no row is any more.
    const careless = (await sqliteDriver()).open(databaseFile(server.folder), { busyMs: 5000 });
    careless.exec('pragma secure_delete = OFF');
    careless.exec('CREATE TABLE scratch (value BLOB)');
    careless.prepare('INSERT INTO scratch VALUES (?)').run([wrapped]);
    careless.exec('DELETE FROM scratch');
    careless.exec('pragma wal_checkpoint(TRUNCATE)');
    careless.close();
    const copies = (): number =>
      readFileSync(databaseFile(server.folder)).toString('latin1').split(wrapped.toString('latin1')).length - 1;
    expect(copies()).toBe(2);
    await server.context.db.insertInto('meta').values({ key: 'other', value: 'stays' }).execute();
    expect((await server.request('apiAdmin', 'eraseUser', { params: { account: id } })).statusCode).toBe(204);
    expect(copies()).toBe(0);
    const { value } = await server.context.db
      .selectFrom('meta')
      .select('value')
      .where('key', '=', 'other')
      .executeTakeFirstOrThrow();
    expect(value).toBe('stays');
    await verifies();
  });

  it('takes nothing from other accounts: their events stay readable, without data of the erased one', async () => {
    const erasable = await makePersonalData(server, { ...person, email: 'admin.q8x7@example.org' });
    await server.context.db.updateTable('users').set({ role: 'apiAdmin' }).where('id', '=', erasable.id).execute();
    const { companion } = server.accounts;
    const change = async (authorization: string, ip: string) => {
      const answer = await server.app.inject({
        method: 'PATCH',
        url: `/users/${companion.id}`,
        remoteAddress: ip,
        headers: { authorization },
        payload: { name: 'Companion' },
      });
      expect(answer.statusCode, answer.body).toBe(200);
    };
    await change(erasable.authorization, person.ip);
    const updates = async () =>
      (await server.request('admin', 'auditEvents', { query: { account: companion.id, action: 'users.update' } })).json().items;
    expect((await updates())[0].personal).toEqual({
      actor: 'admin.q8x7@example.org',
      account: erasable.id,
      address: person.ip,
      detail: 'name',
    });

    const told = (await server.request('companion', 'exportOwnData')).json().events;
    const about = told.find(({ action }: { action: string }) => action === 'users.update');
    expect(about.personal).toEqual({ account: erasable.id, detail: 'name' });

    expect((await server.request('apiAdmin', 'eraseUser', { params: { account: erasable.id } })).statusCode).toBe(204);
    expect((await updates())[0].personal).toEqual({ account: erasable.id, detail: 'name' });
  });

  it('is finished by the hourly pass where another process reads old pages meanwhile', async () => {
    const { id, subject } = await makePersonalData(server, { ...person, email: 'read.q8x7@example.org' });
    const { wrapped } = await server.context.db
      .selectFrom('subjects')
      .select('wrapped')
      .where('id', '=', subject)
      .executeTakeFirstOrThrow();
    const notes = () => server.context.db.selectFrom('meta').select('key').where('key', 'like', '%scrubbing%').execute();
    await whileRead(async () => {
      expect((await server.request('apiAdmin', 'eraseUser', { params: { account: id } })).statusCode).toBe(204);
      expect(await holding(wrapped)).toBe(true);
      expect(server.logged).toContainEqual(
        expect.objectContaining({ level: 'warn', msg: expect.stringContaining('the hourly pass') }),
      );
      expect(await notes()).toHaveLength(1);
    });
    await server.context.cleanup.run();
    expect(await holding(wrapped)).toBe(false);
    expect(await notes()).toEqual([]);
  });

  it('removes the actor of every event of a busy administrator, and of no other event', async () => {
    const own = await startTestServer();
    try {
      const { db, now } = own.context;
      const [busy, other] = [own.accounts.admin, own.accounts.companion];
      const common = { bytes: Buffer.alloc(1), head: Buffer.alloc(48), time: now(), action: 'x', outcome: 'success' } as const;
      // More than are forgotten by one statement.
      for (let seq = 1_000_000; seq < 1_005_001; seq += 1000) {
        const rows = Array.from({ length: 1000 }, (_, at) => ({ ...common, seq: seq + at, resource: null, subject: null }));
        await db
          .insertInto('audit')
          .values(rows.map((row) => ({ ...row, actor: busy.subject })))
          .execute();
      }
      await db
        .insertInto('audit')
        .values({ ...common, seq: 999_999, resource: null, subject: null, actor: other.subject })
        .execute();
      expect((await own.request('apiAdmin', 'eraseUser', { params: { account: busy.id } })).statusCode).toBe(204);
      const actors = await db.selectFrom('audit').select('actor').where('actor', 'in', [busy.subject, other.subject]).execute();
      expect(actors).toEqual([{ actor: other.subject }]);
    } finally {
      await own.close();
    }
  });

  it('is refused for the last account that can manage accounts, and for one that is not there', async () => {
    const own = await startTestServer();
    try {
      const admins = await own.context.db.selectFrom('users').select('id').where('role', '=', 'apiAdmin').execute();
      const { apiAdmin } = own.accounts;
      for (const { id } of admins)
        if (id !== apiAdmin.id)
          expect((await own.request('apiAdmin', 'eraseUser', { params: { account: id } })).statusCode).toBe(204);
      const refused = await own.request('apiAdmin', 'eraseUser', { params: { account: apiAdmin.id } });
      expect(refused.statusCode).toBe(403);
      expect(refused.json().error).toMatchObject({ code: 'NOT_AUTHORISED', message: expect.stringContaining('last account') });
      expect((await own.request('apiAdmin', 'eraseUser', { params: { account: '0'.repeat(32) } })).statusCode).toBe(404);
      const { items } = (await own.request('admin', 'auditEvents', { query: { action: 'subjects.erase' } })).json();
      expect(items.map(({ outcome }: { outcome: string }) => outcome)).toEqual(['denied', 'denied', 'success']);
    } finally {
      await own.close();
    }
  });

  it('of oneself leaves nothing readable, not even that one did it', async () => {
    const erasable = await makePersonalData(server, { ...person, email: 'own.q8x7@example.org' });
    await server.context.db.updateTable('users').set({ role: 'apiAdmin' }).where('id', '=', erasable.id).execute();
    const answer = await server.app.inject({
      method: 'DELETE',
      url: `/users/${erasable.id}`,
      remoteAddress: person.ip,
      headers: { authorization: erasable.authorization },
    });
    expect(answer.statusCode, answer.body).toBe(204);
    const { items } = (
      await server.request('admin', 'auditEvents', { query: { account: erasable.id, action: 'subjects.erase' } })
    ).json();
    expect(items).toHaveLength(1);
    expect(items[0]).not.toHaveProperty('personal');
    expect(findTexts(await everything(), [...texts, 'own.q8x7@example.org'])).toEqual([]);
    await verifies();
  });
});

describe('the export of personal data', () => {
  it('holds everything about one account and nothing about another', async () => {
    const who = { ...person, email: 'exported.q8x7@example.org' };
    const { id } = await makePersonalData(server, who);
    const answer = await server.request('apiAdmin', 'exportUserData', { params: { account: id } });
    expect(answer.statusCode, answer.body).toBe(200);
    const data = answer.json();
    expect(data.account).toMatchObject({ id, email: who.email, name: who.name, address: who.address });
    expect(data.devices).toMatchObject([{ account: id, name: who.device }]);
    expect(data.entitlements).toMatchObject([{ account: id, name: 'defects' }]);
    expect(data.leases).toMatchObject([{ account: id, version: '3' }]);
    const actions = data.events.map(({ action }: { action: string }) => action);
    expect(actions).toEqual(['users.create', 'auth.login', 'auth.login', 'users.update', 'devices.read', 'subjects.export']);
    for (const other of Object.values(server.accounts)) expect(answer.body).not.toContain(other.email);
    expect((await server.request('apiAdmin', 'exportUserData', { params: { account: '0'.repeat(32) } })).statusCode).toBe(404);
  });

  it('comes in pages, each once, and ends although reading makes events', async () => {
    const { companion } = server.accounts;
    const whole = (await server.request('companion', 'exportOwnData')).json();
    const seqs: number[] = [];
    let cursor: string | undefined;
    for (let page = 0; page === 0 || cursor !== undefined; page++) {
      const answer = await server.request('companion', 'exportOwnData', { query: { limit: 1, ...(cursor && { cursor }) } });
      expect(answer.statusCode, answer.body).toBe(200);
      const { account, devices, entitlements, leases, events, next } = answer.json();
      expect(account.id).toBe(companion.id);
      expect([...devices, ...entitlements, ...leases, ...events].length).toBeLessThanOrEqual(1);
      seqs.push(...events.map(({ seq }: { seq: number }) => seq));
      cursor = next;
    }
    // The whole one, and the first pages, tell of themselves.
    expect(seqs.slice(0, whole.events.length)).toEqual(whole.events.map(({ seq }: { seq: number }) => seq));
    for (const query of [{ cursor: 'x' }, { cursor: '-1.0' }, { cursor: 'leases.x' }, { limit: 501 }])
      expect((await server.request('companion', 'exportOwnData', { query } as never)).statusCode).toBe(400);
  });

  it('gives every device, entitlement and lease once, whatever the size of a page', async () => {
    const { id } = await makePersonalData(server, { ...person, email: 'pages.q8x7@example.org' });
    const { db } = server.context;
    const lease = await db.selectFrom('leases').selectAll().where('account', '=', id).executeTakeFirstOrThrow();
    const more = Array.from({ length: 1200 }, (_, n) => ({ ...lease, id: n.toString(16).padStart(32, '0') }));
    for (let at = 0; at < more.length; at += 300)
      await db
        .insertInto('leases')
        .values(more.slice(at, at + 300))
        .execute();
    const params = { account: id };
    const kinds = ['devices', 'entitlements', 'leases'] as const;
    for (const limit of [1, 7, 500]) {
      const seen = { devices: [] as string[], entitlements: [] as string[], leases: [] as string[] };
      let cursor: string | undefined;
      // With pages of one entry the first steps are enough.
      for (let page = 0; (page === 0 || cursor !== undefined) && page < 200; page++) {
        const answer = await server.request('apiAdmin', 'exportUserData', {
          params,
          query: { limit, ...(cursor && { cursor }) },
        });
        expect(answer.statusCode, answer.body).toBe(200);
        const data = answer.json();
        for (const kind of kinds) seen[kind].push(...data[kind].map((one: { id: string }) => one.id));
        cursor = data.next;
      }
      for (const kind of kinds) expect(new Set(seen[kind]).size).toBe(seen[kind].length);
      if (limit > 1) expect(kinds.map((kind) => seen[kind].length)).toEqual([1, 1, 1201]);
    }
  });
});
