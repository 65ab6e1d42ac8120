/** Publishers and profiles of a command. If these fail, a pinned key is not the one that is trusted. */
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { publishersOf, stateOf } from '../../../src/cli/flags/server.js';
import { profilePath, readProfile, writeProfile } from '../../../src/cli/profile.js';
import { SigningKey } from '../../../src/index.js';
import { modelGuard } from '../../support/cli.js';
import { FakeGuard } from '../../support/fake-guard.js';
import { temporaryFolder } from '../../support/temp.js';

const base = temporaryFolder('profile');
const at = (name: string): string => path.join(base, name);
const SERVER_KEY = SigningKey.generate().publicKey.toString();

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('--publisher', () => {
  it('pins keys by name, also by names that objects have', () => {
    expect(publishersOf(['a=one', 'constructor=two', 'a=three'])).toEqual({ a: ['one', 'three'], constructor: ['two'] });
    expect(Object.keys(publishersOf(['__proto__=one']))).toEqual(['__proto__']);
  });
});

describe('--state-folder', () => {
  it.each([['load'], ['unlock'], ['enroll'], ['audit-log', 'accept']])('is a flag of %s', async (...command) => {
    expect((await modelGuard(...command, '--help')).stdout).toContain('--state-folder <DIR>');
  });

  it('counts more than the folder of the profile', () => {
    const profile = { url: 'https://guard.example.org', serverKey: SERVER_KEY, state: '/srv/state' };
    expect(stateOf(profile, {})).toBe('/srv/state');
    expect(stateOf(profile, { stateFolder: 'here' })).toBe(path.resolve('here'));
  });
});

describe('--no-proxy', () => {
  it('goes directly where the environment names a proxy', async () => {
    const guard = await new FakeGuard().listen();
    try {
      guard.on('listUsers', () => ({ json: { items: [] } }));
      writeFileSync(at('proxied.txt'), 'admin@example.org\na long phrase that is hard to guess\n', { mode: 0o600 });
      const profile = { url: guard.url, serverKey: guard.serverKey, credentials: at('proxied.txt') };
      writeFileSync(at('proxied.json'), JSON.stringify(profile), { mode: 0o600 });
      for (const name of ['http_proxy', 'no_proxy', 'NO_PROXY']) vi.stubEnv(name, '');
      vi.stubEnv('HTTP_PROXY', 'http://proxy.example.com:3128');
      const list = ['users', 'list', '--profile', at('proxied.json')];
      expect(await modelGuard(...list)).toMatchObject({ code: 2, stderr: expect.stringMatching(/HTTP_PROXY.*--no-proxy/) });
      expect(guard.asked).toEqual([]);
      expect(await modelGuard(...list, '--no-proxy')).toMatchObject({ code: 0 });
    } finally {
      await guard.close();
    }
  });
});

describe('--help', () => {
  it.each([
    ['--profile', '~/.config/model-guard/server.json', ['devices', 'list']],
    ['--state-folder', '~/.local/state/model-guard', ['load']],
    ['--cache-folder', '~/.cache/model-guard', ['cache', 'list']],
  ])('says where %s is by default: at a path, not in a variable that is mostly unset', async (flag, place, command) => {
    const help = (await modelGuard(...command, '--help')).stdout.replaceAll(/\s+/g, ' ');
    expect(help).toMatch(new RegExp(`${flag} <[^-]*\\(default: ${place.replaceAll('.', '\\.')}, or below XDG_`));
  });
});

describe('a profile', () => {
  it('lies in the home folder where XDG_CONFIG_HOME is unset, empty or relative, never in the working folder', () => {
    const expected = path.join(homedir(), '.config/model-guard/server.json');
    vi.stubEnv('XDG_CONFIG_HOME', undefined);
    expect(profilePath()).toBe(expected);
    vi.stubEnv('XDG_CONFIG_HOME', '');
    expect(profilePath()).toBe(expected);
    vi.stubEnv('XDG_CONFIG_HOME', 'here');
    expect(profilePath()).toBe(expected);
    vi.stubEnv('XDG_CONFIG_HOME', '/etc/xdg');
    expect(profilePath()).toBe('/etc/xdg/model-guard/server.json');
    expect(profilePath('x.json')).toBe(path.resolve('x.json'));
    vi.stubEnv('XDG_CONFIG_HOME', '');
    vi.stubEnv('HOME', 'somewhere');
    expect(() => profilePath()).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
  });

  const profile = { url: 'https://guard.example.org', serverKey: 'mgs1:AAAA', ca: '/etc/ca.pem' };

  it('is written for this user alone, whatever the umask says, and read again', async () => {
    mkdirSync(at('new'), { mode: 0o755 });
    const umask = process.umask(0);
    try {
      const file = await writeProfile(at('new/folder/server.json'), profile);
      expect([statSync(path.dirname(file)).mode & 0o777, statSync(file).mode & 0o777]).toEqual([0o700, 0o600]);
    } finally {
      process.umask(umask);
    }
    expect(await readProfile(at('new/folder/server.json'))).toEqual(profile);
  });

  it('that cannot be written is refused with what to give instead', async () => {
    // Even root makes no folder there.
    const failure = {
      code: 'PERMISSION_DENIED',
      message: expect.stringMatching(/^The profile cannot be kept in \/sys\/.*--profile/),
    };
    await expect(writeProfile('/sys/model-guard/server.json', profile)).rejects.toMatchObject(failure);
  });

  it.each(['server.json', '.'])('is neither read nor replaced where another user can write to %s', async (name) => {
    const folder = at(`shared-${name}`);
    const file = path.join(folder, 'server.json');
    await writeProfile(file, profile);
    chmodSync(path.join(folder, name), 0o777);
    await expect(readProfile(file)).rejects.toMatchObject({ code: 'FILE_UNSAFE' });
    await expect(writeProfile(file, profile)).rejects.toMatchObject({ code: 'FILE_UNSAFE' });
    const login = ['login', '--url', profile.url, '--server-key', SERVER_KEY, '--credentials', at('none'), '--profile', file];
    // Before the credentials are looked for.
    expect(await modelGuard(...login)).toMatchObject({ code: 6, stderr: expect.stringContaining('[FILE_UNSAFE]') });
  });

  it.each([
    ['accepts unsigned models', { unsigned: 'accept' }],
    ['accepts older versions', { rollback: 'accept' }],
    ['switches TLS off', { tls: { rejectUnauthorized: false } }],
    ['switches authentication off', { authentication: false }],
    ['names a file by the working folder', { ca: 'ca.pem' }],
  ])('that %s is refused', async (_, member) => {
    const file = at('other.json');
    writeFileSync(file, JSON.stringify({ ...profile, ...member }));
    await expect(readProfile(file)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
