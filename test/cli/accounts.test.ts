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
