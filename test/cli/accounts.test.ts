/** Accounts named by e-mail address. If these fail, administrators must find out ids of 32 digits first. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { modelGuard, succeed } from '../support/cli.js';
import { FakeGuard, failure } from '../support/fake-guard.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('accounts');
const at = (name: string): string => path.join(base, name);
const guard = new FakeGuard();
const account = (digit: string, email: string) => ({
  id: digit.repeat(32),
  email,
  role: 'operator',
  disabled: false,
  mustChangePassword: false,
  created: guard.now,
});
const ada = account('a', 'Ada@example.org');

beforeAll(async () => {
  await guard.listen();
  writeFileSync(at('account.txt'), 'admin@example.org\na long phrase nobody guesses\n', { mode: 0o600 });
  const profile = { url: guard.url, serverKey: guard.serverKey, credentials: at('account.txt') };
  writeFileSync(at('server.json'), JSON.stringify(profile), { mode: 0o600 });
});
beforeEach(() => {
  guard.restore();
  guard.on('listUsers', ({ query }) =>
    query.get('cursor') === null
      ? { json: { items: [account('b', 'bob@example.org')], next: 'two' } }
      : { json: { items: [ada] } },
  );
});
afterAll(() => guard.close());

const profile = ['--profile', at('server.json')];
const asked = (name: string) => guard.asked.find((one) => one.name === name);

describe('users reset-password', () => {
  beforeEach(() => guard.on('resetUserPassword', () => ({ json: { ...ada, mustChangePassword: true } })));

  it('shows a random password once, on standard output alone', async () => {
    const { stdout, stderr } = await succeed('users', 'reset-password', ada.id, ...profile);
    expect(stdout).toMatch(/^(\d{4}-){5}\d{4}\n$/);
    expect(asked('resetUserPassword')?.json).toEqual({ password: stdout.trim() });
    expect(stderr).toMatch(/Ada@example\.org must change it first/);
    expect(stderr).not.toContain(stdout.trim());
    const again = JSON.parse((await succeed('users', 'reset-password', ada.id, '--json', ...profile)).stdout);
    expect(again).toMatchObject({ id: ada.id, mustChangePassword: true, password: expect.stringMatching(/^[\d-]{29}$/) });
    expect(again.password).not.toBe(stdout.trim());
  });

  it('takes the password from a file, and does not show it then', async () => {
    writeFileSync(at('once.txt'), 'a phrase for one time\n', { mode: 0o600 });
    const { stdout, stderr } = await succeed('users', 'reset-password', ada.id, '--password-file', at('once.txt'), ...profile);
    expect(asked('resetUserPassword')?.json).toEqual({ password: 'a phrase for one time' });
    expect(stdout + stderr).not.toContain('a phrase');
  });
});

describe('an e-mail address', () => {
  it('names the account of an entitlement, in whatever case', async () => {
    await modelGuard('entitlements', 'create', 'net', '--account', 'ada@Example.org', ...profile);
    expect(asked('createEntitlement')?.json).toMatchObject({ account: ada.id, name: 'net' });
  });

  it('names the account whose events are shown', async () => {
    guard.on('auditEvents', () => ({ json: { items: [] } }));
    await succeed('audit-log', 'events', '--account', 'ada@example.org', ...profile);
    expect(asked('auditEvents')?.query.get('account')).toBe(ada.id);
  });

  it.each([
    ['update', 'updateUser', ['--disable']],
    ['reset-password', 'resetUserPassword', []],
    ['export', 'exportUserData', []],
    ['erase', 'eraseUser', []],
  ])('names the account for users %s', async (command, route, flags) => {
    await modelGuard('users', command, 'ada@example.org', ...flags, ...profile);
    expect(asked(route)?.params).toEqual({ account: ada.id });
  });

  it('that no account has is NOT_FOUND, and nothing else is asked', async () => {
    const { code, stderr } = await modelGuard('users', 'erase', 'eve@example.org', ...profile);
    expect([code, stderr]).toEqual([
      6,
      'model-guard: No account has the e-mail address eve@example.org. `model-guard users list` shows all of them. [NOT_FOUND]\n',
    ]);
    expect(asked('eraseUser')).toBeUndefined();
  });

  it('is explained where this account may not read addresses', async () => {
    guard.on('listUsers', () => failure(403, 'NOT_AUTHORISED'));
    const { code, stderr } = await modelGuard('entitlements', 'create', 'net', '--account', 'ada@example.org', ...profile);
    expect([code, stderr]).toEqual([7, expect.stringMatching(/Only the role apiAdmin.*Give the id of ada@example\.org instead/)]);
  });
});
