/** Accounts named by e-mail address. If these fail, administrators must find out ids of 32 digits first. */
import { describe, expect, it } from 'vitest';
import { modelGuard, succeed } from '../support/cli.js';
import { administrate } from '../support/cli-admin.js';
import { failure } from '../support/fake-guard.js';

const { ada, asked, guard, profile } = administrate('account-id');

describe('an e-mail address', () => {
  it('names the account whose events are shown', async () => {
    guard.on('auditEvents', () => ({ json: { items: [] } }));
    await succeed('audit-log', 'events', '--account', 'ada@Example.org', ...profile);
    expect(asked('auditEvents')?.query.get('account')).toBe(ada.id);
  });

  it.each([
    ['update', 'updateUser', ['--disable']],
    ['reset-password', 'resetUserPassword', []],
    ['export', 'exportUserData', []],
    ['erase', 'eraseUser', []],
  ])('names the account for users %s', async (command, route, flags) => {
    await modelGuard('users', command, 'ada@Example.org', ...flags, ...profile);
    expect(asked(route)?.params).toEqual({ account: ada.id });
  });

  it('that no account has is NOT_FOUND, and nothing else is asked', async () => {
    const { code, stderr } = await modelGuard('users', 'erase', 'eve@example.org', ...profile);
    expect([code, stderr]).toEqual([
      6,
      'model-guard: No account has the e-mail address eve@example.org. An account with the role apiAdmin lists all of them: `model-guard users list`. [NOT_FOUND]\n',
    ]);
    expect(asked('eraseUser')).toBeUndefined();
  });

  it('is refused where the server does not let this account ask', async () => {
    guard.on('findUser', () => failure(403, 'NOT_AUTHORISED'));
    const { code, stderr } = await modelGuard('entitlements', 'create', 'net', '--account', 'ada@Example.org', ...profile);
    expect([code, stderr]).toEqual([7, expect.stringContaining('[NOT_AUTHORISED]')]);
    expect(asked('createEntitlement')).toBeUndefined();
  });

  it.each(['ada', 'ada@', '@example.org', 'a'.repeat(31)])('%j is neither an id nor an address', async (given) => {
    const { code, stderr } = await modelGuard('entitlements', 'create', 'net', '--account', given, ...profile);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/--account.* neither an id of 32 hex digits nor an e-mail address/),
    ]);
    expect(guard.asked.map(({ name }) => name)).not.toContain('findUser');
  });
});
