/** The first account. If these fail, no administrator can log in, or anyone can. */
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeFirstAccount } from '../../src/accounts/first-account.js';
import { login, startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

const file = () => join(server.folder, 'admin-password.txt');
const first = async (): Promise<string> => (await readFile(file(), 'utf8')).trim();
const adminLogin = (password: string) => login(server, 'admin@localhost', password);
const adminCount = async () =>
  (await server.context.db.selectFrom('users').select('id').where('role', '=', 'apiAdmin').execute()).length;

describe('the first start', () => {
  it('makes an administrator whose password is in a file for this user alone', async () => {
    expect(server.firstPassword).toBe(file());
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    expect((await first()).length).toBeGreaterThanOrEqual(24);
    expect((await adminLogin(await first())).json().mustChangePassword).toBe(true);
    expect(JSON.stringify(server.logged)).not.toContain(await first());
  });

  it('lets the administrator do nothing before the password is changed', async () => {
    const password = await first();
    const headers = { authorization: `Bearer ${(await adminLogin(password)).json().token}` };
    const refused = await server.request(undefined, 'listUsers', { query: {}, headers });
    expect(refused.statusCode).toBe(403);
    expect(refused.json().error.message).toMatch(/password must be changed/);
    expect((await server.request(undefined, 'account', { headers })).statusCode).toBe(200);
    const body = { current: password, next: 'a phrase of my own choice' };
    expect((await server.request(undefined, 'changePassword', { body, headers })).statusCode).toBe(204);
    await expect(stat(file())).rejects.toMatchObject({ code: 'ENOENT' });
    const again = { authorization: `Bearer ${(await adminLogin(body.next)).json().token}` };
    expect((await server.request(undefined, 'listUsers', { query: {}, headers: again })).statusCode).toBe(200);
  });

  it('happens once: a restart keeps ids, keys, accounts and the password', async () => {
    const before = { id: server.context.serverId, log: server.context.logId, password: await first() };
    const key = server.context.keys.signing.publicKey.toString();
    server = await server.restart();
    expect(server.firstPassword).toBeUndefined();
    expect({ id: server.context.serverId, log: server.context.logId, password: await first() }).toEqual(before);
    expect(server.context.keys.signing.publicKey.toString()).toBe(key);
    expect(await adminCount()).toBe(2);
  });

  it('that was killed before its commit is done anew, with a password that works', async () => {
    const { db } = server.context;
    const stale = await first();
    // Such a start leaves a file and no rows.
    await db.deleteFrom('users').execute();
    await db.deleteFrom('meta').where('key', '=', 'first_account').execute();
    await writeFile(`${file()}.0123456789abcdef`, 'left behind');
    expect(await makeFirstAccount(server.context)).toBe(file());
    expect(await first()).not.toBe(stale);
    expect((await adminLogin(await first())).statusCode).toBe(200);
    server = await server.restart();
    expect((await readdir(server.folder)).filter((name) => name.startsWith('admin-password'))).toEqual(['admin-password.txt']);
  });

  it('done by two processes at once makes one administrator, whose password is in the file', async () => {
    const { db } = server.context;
    await db.deleteFrom('users').execute();
    await db.deleteFrom('meta').where('key', '=', 'first_account').execute();
    const made = await Promise.all([1, 2, 3].map(() => makeFirstAccount(server.context)));
    expect(made.filter((path) => path !== undefined)).toHaveLength(1);
    expect(await adminCount()).toBe(1);
    expect((await adminLogin(await first())).statusCode).toBe(200);
  });

  it('removes a file that outlived its use', async () => {
    const password = await first();
    const headers = { authorization: `Bearer ${(await adminLogin(password)).json().token}` };
    await server.request(undefined, 'changePassword', {
      body: { current: password, next: 'a phrase of my own choice' },
      headers,
    });
    await writeFile(file(), password);
    server = await server.restart();
    await expect(stat(file())).rejects.toMatchObject({ code: 'ENOENT' });
  });
});

describe('the data folder', () => {
  it('is for this user alone', async () => {
    for (const name of await readdir(server.folder)) {
      const { mode } = await stat(join(server.folder, name));
      expect(mode & 0o077, name).toBe(0);
    }
  });

  it('does not start with keys of another database', async () => {
    const keys = join(server.folder, 'keys');
    await rm(join(keys, 'field.key'));
    await expect(server.restart()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const { MasterKey } = await import('@org/model-guard/server-kit');
    await MasterKey.generate().save(join(keys, 'field.key'));
    await expect(server.restart()).rejects.toMatchObject({ code: 'KEY_INVALID' });
  });
});
