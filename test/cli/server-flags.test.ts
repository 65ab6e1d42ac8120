/** Which publishers and which profile a command means. If these fail, a pinned key is not the one that is trusted. */
import { homedir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { profilePath } from '../../src/cli/profile.js';
import { publishersOf } from '../../src/cli/server-flags.js';

const before = { ...process.env };
afterEach(() => {
  process.env = { ...before };
});

describe('--publisher', () => {
  it('pins keys by name, also by names that objects have', () => {
    expect(publishersOf(['a=one', 'constructor=two', 'a=three'])).toEqual({ a: ['one', 'three'], constructor: ['two'] });
    expect(Object.keys(publishersOf(['__proto__=one']))).toEqual(['__proto__']);
  });
});

describe('a profile', () => {
  it('lies in the home folder where XDG_CONFIG_HOME is unset or empty, never in the working folder', () => {
    const expected = path.join(homedir(), '.config/model-guard/server.json');
    delete process.env.XDG_CONFIG_HOME;
    expect(profilePath()).toBe(expected);
    process.env.XDG_CONFIG_HOME = '';
    expect(profilePath()).toBe(expected);
    process.env.XDG_CONFIG_HOME = '/etc/xdg';
    expect(profilePath()).toBe('/etc/xdg/model-guard/server.json');
    expect(profilePath('x.json')).toBe(path.resolve('x.json'));
  });
});
