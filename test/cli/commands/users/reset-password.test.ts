/** One-time passwords. If these fail, a password is shown where it is not wanted, or is not the one that was set. */
import { writeFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { succeed } from '../../../support/cli.js';
import { administrate } from '../../../support/cli-admin.js';

const { ada, asked, at, guard, profile } = administrate('reset-password');

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
