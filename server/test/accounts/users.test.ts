/** Accounts. If these fail, personal data is readable, or no account can manage accounts any more. */
import type { AuditAction } from '@org/model-guard/server-kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { filesOfDatabase } from '../support/database.js';
import { filesIn } from '../support/needles.js';
import { auditEvents, login, PASSWORD, startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

const create = (email: string, more: object = {}) =>
  server.request('apiAdmin', 'createUser', { body: { email, password: PASSWORD, role: 'operator', ...more } });
const update = (account: string, body: object) => server.request('apiAdmin', 'updateUser', { params: { account }, body });

const firstAdmin = async (): Promise<{ id: string }> => {
  const { items } = (await server.request('apiAdmin', 'listUsers')).json();
  return items.find(({ email }: { email: string }) => email === 'admin@localhost');
};

describe('accounts', () => {
  it('are made, read, changed and listed in pages', async () => {
    const made = await create('jane@example.com', { name: 'Jane Doe', address: 'Main Street 1' });
    expect(made.statusCode).toBe(201);
    const { id } = made.json();
    const whole = {
      id,
      email: 'jane@example.com',
      name: 'Jane Doe',
      address: 'Main Street 1',
      role: 'operator',
      disabled: false,
    };
    expect((await server.request('apiAdmin', 'getUser', { params: { account: id } })).json()).toMatchObject(whole);
    expect((await update(id, { role: 'validator', name: 'Jane D.' })).json()).toMatchObject({
      ...whole,
      role: 'validator',
      name: 'Jane D.',
    });
    const emails: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await server.request('apiAdmin', 'listUsers', { query: { limit: 2, ...(cursor && { cursor }) } });
      emails.push(...page.json().items.map((item: { email: string }) => item.email));
      cursor = page.json().next;
    } while (cursor);
    expect(emails).toHaveLength(9);
    expect(new Set(emails).size).toBe(9);
    expect(emails).toContain('jane@example.com');
  });

  it('must change their password first where it was set so', async () => {
    const asked = async (email: string) =>
      (await server.request(undefined, 'token', { body: { email, password: PASSWORD } })).json().mustChangePassword;
    await create('jane@example.com');
    const { id } = (await create('john@example.com', { mustChange: true })).json();
    expect([await asked('jane@example.com'), await asked('john@example.com')]).toEqual([false, true]);
    await update(id, { name: 'John' });
    expect(await asked('john@example.com')).toBe(true);
    await update(id, { password: PASSWORD, mustChange: false });
    expect(await asked('john@example.com')).toBe(false);
  });

  it('are found by their e-mail addresses, in whatever case, by administrators', async () => {
    const { id } = (await create('Jane@example.com')).json();
    const find = (role: 'admin' | 'operator', email: string) => server.request(role, 'findUser', { body: { email } });
    expect((await find('admin', 'jane@EXAMPLE.com')).json()).toEqual({ account: id });
    expect((await find('admin', 'eve@example.com')).json()).toMatchObject({ error: { code: 'NOT_FOUND' } });
    expect((await find('operator', 'jane@example.com')).json()).toMatchObject({ error: { code: 'NOT_AUTHORISED' } });
    const { items } = (await server.request('apiAdmin', 'auditEvents', { query: { action: 'users.find' } })).json();
    expect(items).toMatchObject([{ outcome: 'denied' }, { outcome: 'success', resource: `account:${id}` }]);
  });

  it('keep what is personal out of the files of the database', async () => {
    await create('jane@example.com', { name: 'Jane Doe', address: 'Main Street 1' });
    await server.restart().then((again) => {
      server = again;
    });
    const { databaseUrl } = server.config;
    const files = databaseUrl === undefined ? filesIn(server.folder) : await filesOfDatabase(databaseUrl);
    expect(files.size).toBeGreaterThan(0);
    for (const bytes of files.values()) {
      for (const needle of ['jane@example.com', 'Jane Doe', 'Main Street', PASSWORD])
        expect(bytes.includes(needle), needle).toBe(false);
    }
  });

  it('refuse what is weak or taken', async () => {
    expect((await create('admin@example.com')).json().error.code).toBe('ALREADY_EXISTS');
    expect((await create('jane@example.com', { password: 'password1234' })).json().error.code).toBe('PASSWORD_WEAK');
    expect((await create('jane@example.com', { password: 'short' })).json().error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      path: 'password',
    });
    expect((await create('jane', {})).json().error.path).toBe('email');
    expect((await create('jane@example.com', { admin: true })).json().error.path).toBe('admin');
    expect((await create('jane@example.com', { role: 'root' })).json().error.path).toBe('role');
    expect((await server.request('apiAdmin', 'getUser', { params: { account: '0'.repeat(32) } })).statusCode).toBe(404);
  });

  it('made twice at once are made once', async () => {
    const answers = await Promise.all([create('jane@example.com'), create('jane@example.com'), create('Jane@example.com')]);
    expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([201, 409, 409]);
  });

  it('always have an administrator left', async () => {
    const first = await firstAdmin();
    expect((await update(first.id, { disabled: true })).statusCode).toBe(200);
    const last = server.accounts.apiAdmin.id;
    for (const change of [{ disabled: true }, { role: 'admin' }]) {
      const answer = await update(last, change);
      expect(answer.json().error.code).toBe('NOT_AUTHORISED');
    }
    expect((await server.request('apiAdmin', 'eraseUser', { params: { account: last } })).statusCode).toBe(403);
    expect((await update(last, { name: 'still here' })).statusCode).toBe(200);
  });

  it('two administrators who disable each other at once leave one', async () => {
    const first = await firstAdmin();
    await Promise.all([update(first.id, { disabled: true }), update(server.accounts.apiAdmin.id, { disabled: true })]);
    const rows = await server.context.db
      .selectFrom('users')
      .select('id')
      .where('role', '=', 'apiAdmin')
      .where('disabled', '=', 0)
      .execute();
    expect(rows).toHaveLength(1);
  });
});

describe('changing the own password', () => {
  const change = (current: string, next: string, token: string) =>
    server.request(undefined, 'changePassword', { body: { current, next }, headers: { authorization: `Bearer ${token}` } });

  it('ends every token, and takes the old password no more', async () => {
    const [token, other] = [await server.token('operator'), await server.token('operator')];
    expect((await change(PASSWORD, 'a new and longer phrase', token)).statusCode).toBe(204);
    expect((await server.request(undefined, 'account', { headers: { authorization: `Bearer ${other}` } })).statusCode).toBe(401);
    expect((await login(server, 'operator@example.com', PASSWORD)).statusCode).toBe(401);
    expect((await login(server, 'operator@example.com', 'a new and longer phrase')).statusCode).toBe(200);
  });

  it('is no way to guess the password with a stolen token', async () => {
    const token = await server.token('operator');
    for (let guess = 0; guess < 5; guess++)
      expect((await change(`guess ${guess}`, 'a new and longer phrase', token)).statusCode).toBe(401);
    expect((await change(PASSWORD, 'a new and longer phrase', token)).statusCode).toBe(429);
  });

  it('refuses the same, a weak one and the own address', async () => {
    const token = await server.token('validator');
    for (const next of [PASSWORD, 'qwertyuiop123', 'my name is validator!'])
      expect((await change(PASSWORD, next, token)).json().error.code).toBe('PASSWORD_WEAK');
  });
});

describe('what administrators are refused', () => {
  const events = async (action: AuditAction) =>
    (await auditEvents(server, { action })).map(({ outcome, resource, personal }) => ({
      outcome,
      ...(resource && { resource }),
      detail: personal?.detail,
    }));

  it('is in the audit log', async () => {
    const missing = '0'.repeat(32);
    await create('operator@example.com');
    expect(await events('users.create')).toContainEqual({ outcome: 'failure', detail: 'ALREADY_EXISTS' });
    await update(missing, { disabled: true });
    expect(await events('users.update')).toEqual([{ outcome: 'denied', resource: `account:${missing}`, detail: 'NOT_FOUND' }]);
    await server.request('apiAdmin', 'getUser', { params: { account: missing } });
    expect(await events('users.read')).toEqual([{ outcome: 'denied', resource: `account:${missing}`, detail: 'NOT_FOUND' }]);
    await server.request('operator', 'changePassword', { body: { current: PASSWORD, next: '111111111111' } });
    const own = { resource: `account:${server.accounts.operator.id}`, detail: 'PASSWORD_WEAK' };
    expect(await events('account.password')).toEqual([{ outcome: 'failure', ...own }]);
  });
});
