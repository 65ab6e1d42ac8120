/**
 * New passwords that the operator of the machine, or an administrator, sets. If these fail, an administrator who is locked out
 * stays out, or an account that was reset keeps its old log-ins.
 */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROLES, type Role } from '@org/model-guard/server-kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resetPassword } from '../../src/accounts/reset-password.js';
import { configure } from '../../src/start/config.js';
import { maintain } from '../../src/start/maintenance.js';
import { onPostgres } from '../support/database.js';
import { auditEvents, login, PASSWORD, startTestServer, type TestServer } from '../support/server.js';

const EMAIL = 'apiAdmin@example.com';
const NEXT = 'an entirely other phrase';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

const loginStatus = async (password: string) => (await login(server, EMAIL, password)).statusCode;
const reset = (email: string, password: string) => maintain(server.config, (context) => resetPassword(context, email, password));

describe('a reset beside the running server', () => {
  it('lets a locked and disabled administrator in, and ends the tokens', async () => {
    const authorization = `Bearer ${await server.token('apiAdmin')}`;
    for (let attempt = 0; attempt < 5; attempt++) expect(await loginStatus('wrong')).toBe(401);
    expect(await loginStatus(PASSWORD)).toBe(429);
    const { id } = server.accounts.apiAdmin;
    await server.context.db.updateTable('users').set({ disabled: 1 }).where('id', '=', id).execute();
    server.secrets.text('the new password', NEXT);
    await reset(EMAIL, NEXT);
    expect(await loginStatus(NEXT)).toBe(200);
    expect(await loginStatus(PASSWORD)).toBe(401);
    const old = await server.request(undefined, 'account', { headers: { authorization } });
    expect(old.statusCode).toBe(401);
    const events = await server.request('apiAdmin', 'auditEvents', { query: { action: 'users.reset-password' } });
    expect(events.json().items).toMatchObject([
      { outcome: 'success', resource: `account:${id}`, request: 'reset-password', subject: server.accounts.apiAdmin.subject },
    ]);
  });

  it('changes nothing for a weak password or an unknown address, and names the administrators', async () => {
    await expect(reset(EMAIL, 'short')).rejects.toMatchObject({ code: 'PASSWORD_WEAK' });
    await expect(reset('unknown@example.com', NEXT)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(EMAIL),
    });
    expect(await loginStatus(PASSWORD)).toBe(200);
  });
});

describe('a reset by an administrator', () => {
  const ONCE = 'a phrase for one time';
  const owner = () => server.accounts.operator;
  const ask = (as: Role, password = ONCE, account = owner().id) => {
    server.secrets.text('the one-time password', password);
    return server.request(as, 'resetUserPassword', { params: { account }, body: { password } });
  };
  const token = async (password: string) => (await login(server, owner().email, password)).json();
  const events = async () => await auditEvents(server, { action: 'users.reset-password' });

  it('gives a password that must be changed first, and ends the tokens and the lock-out', async () => {
    const before = { authorization: `Bearer ${(await token(PASSWORD)).token}` };
    for (let attempt = 0; attempt < 5; attempt++) await token('wrong');
    expect((await token(PASSWORD)).error.code).toBe('RATE_LIMITED');
    const answer = await ask('apiAdmin');
    expect([answer.statusCode, answer.json()]).toEqual([
      200,
      expect.objectContaining({ id: owner().id, mustChangePassword: true }),
    ]);
    expect(answer.body).not.toContain(ONCE);
    expect((await server.request(undefined, 'account', { headers: before })).statusCode).toBe(401);
    expect((await token(PASSWORD)).error.code).toBe('NOT_AUTHENTICATED');
    const once = await token(ONCE);
    expect(once.mustChangePassword).toBe(true);
    const headers = { authorization: `Bearer ${once.token}` };
    expect((await server.request(undefined, 'listVersions', { query: {}, headers })).statusCode).toBe(403);
    server.secrets.text('the own password', NEXT);
    const body = { current: ONCE, next: NEXT };
    expect((await server.request(undefined, 'changePassword', { body, headers })).statusCode).toBe(204);
    expect((await token(NEXT)).mustChangePassword).toBe(false);
    expect(await events()).toMatchObject([
      { outcome: 'success', resource: `account:${owner().id}`, personal: { account: server.accounts.apiAdmin.id } },
    ]);
  });

  it('leaves a disabled account disabled', async () => {
    await server.request('apiAdmin', 'updateUser', { params: { account: owner().id }, body: { disabled: true } });
    expect((await ask('apiAdmin')).json().disabled).toBe(true);
    expect((await token(ONCE)).error.code).toBe('NOT_AUTHENTICATED');
  });

  it('is refused to every other role, for a weak password and an unknown account, and stands in the log then too', async () => {
    for (const role of ROLES.filter((one) => one !== 'apiAdmin')) expect((await ask(role)).statusCode, role).toBe(403);
    expect((await ask('apiAdmin', 'password1234')).json().error.code).toBe('PASSWORD_WEAK');
    expect((await ask('apiAdmin', ONCE, '0'.repeat(32))).json().error.code).toBe('NOT_FOUND');
    expect((await token(PASSWORD)).token).toBeDefined();
    const outcomes = (await events()).map(({ outcome }: { outcome: string }) => outcome);
    expect(outcomes.sort()).toEqual(['denied', 'failure']);
    const { items } = (await server.request('apiAdmin', 'auditEvents', { query: { action: 'authz.denied' } })).json();
    expect(items).toHaveLength(ROLES.length - 1);
  });

  it('of the first account removes the file of its first password', async () => {
    const { items } = (await server.request('apiAdmin', 'listUsers')).json();
    const { id } = items.find(({ email }: { email: string }) => email === 'admin@localhost');
    expect(await readdir(server.folder)).toContain('admin-password.txt');
    expect((await ask('apiAdmin', ONCE, id)).statusCode).toBe(200);
    expect(await readdir(server.folder)).not.toContain('admin-password.txt');
  });
});

it.skipIf(onPostgres)('makes no database and no keys where there is no server', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'guard-no-server-'));
  try {
    const config = configure({ data: folder, secretsFolder: join(folder, 'secrets') }, {});
    await expect(maintain(config, (context) => resetPassword(context, EMAIL, NEXT))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await readdir(folder)).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
