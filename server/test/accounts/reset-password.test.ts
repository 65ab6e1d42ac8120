/** The password that the holder of the server's machine gives. If these fail, an administrator who is locked out stays out. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { resetPassword } from '../../src/accounts/reset-password.js';
import { configure } from '../../src/config.js';
import { maintain } from '../../src/maintenance.js';
import { onPostgres } from '../support/database.js';
import { PASSWORD, startTestServer, type TestServer } from '../support/server.js';

const EMAIL = 'apiAdmin@example.com';
const NEXT = 'an entirely other phrase';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

const login = async (password: string) =>
  (await server.request(undefined, 'token', { body: { email: EMAIL, password } })).statusCode;
const reset = (email: string, password: string) => maintain(server.config, (context) => resetPassword(context, email, password));

describe('a reset beside the running server', () => {
  it('lets a locked and disabled administrator in, and ends the tokens', async () => {
    const authorization = `Bearer ${await server.token('apiAdmin')}`;
    for (let attempt = 0; attempt < 5; attempt++) expect(await login('wrong')).toBe(401);
    expect(await login(PASSWORD)).toBe(429);
    const { id } = server.accounts.apiAdmin;
    await server.context.db.updateTable('users').set({ disabled: 1 }).where('id', '=', id).execute();
    server.secrets.text('the new password', NEXT);
    await reset(EMAIL, NEXT);
    expect(await login(NEXT)).toBe(200);
    expect(await login(PASSWORD)).toBe(401);
    const old = await server.request(undefined, 'account', { headers: { authorization } });
    expect(old.statusCode).toBe(401);
    const events = await server.request('apiAdmin', 'auditEvents', { query: { action: 'users.reset-password' } });
    expect(events.json().items).toMatchObject([
      { outcome: 'success', resource: `account:${id}`, request: 'reset-password', subject: server.accounts.apiAdmin.subject },
    ]);
  });

  it('changes nothing for a weak password or an unknown address, and names the administrators', async () => {
    await expect(reset(EMAIL, 'short')).rejects.toMatchObject({ code: 'PASSWORD_WEAK' });
    await expect(reset('nobody@example.com', NEXT)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(EMAIL),
    });
    expect(await login(PASSWORD)).toBe(200);
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
