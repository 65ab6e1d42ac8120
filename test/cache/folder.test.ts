/** The folder of the cache. If these fail, a load writes to a folder that was not meant, or other users read which models this one uses. */
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openCache } from '../../src/cache/cache.js';
import { CacheFolder, defaultCacheFolder } from '../../src/cache/folder.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('cache-folder');

describe('folders that are open to other users', () => {
  it('are closed where they are its own; the one that was named stays as it is', async () => {
    const root = path.join(base, 'wide');
    const own = [path.join(root, 'big-parts'), path.join(root, 'big-parts/v1')];
    for (const one of [root, ...own]) mkdirSync(one, { recursive: true });
    for (const one of [root, ...own]) chmodSync(one, 0o755);
    await new CacheFolder(root).make();
    expect([root, ...own].map((one) => statSync(one).mode & 0o777)).toEqual([0o755, 0o700, 0o700]);
  });
});

describe('the default folder', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('lies in XDG_CACHE_HOME, else in the home folder; relative paths are no answer', () => {
    vi.stubEnv('XDG_CACHE_HOME', '/var/cache/operator');
    expect(defaultCacheFolder()).toBe('/var/cache/operator/model-guard');
    for (const other of ['', 'relative/cache']) {
      vi.stubEnv('XDG_CACHE_HOME', other);
      expect(defaultCacheFolder()).toBe(path.join(homedir(), '.cache', 'model-guard'));
    }
    vi.stubEnv('XDG_CACHE_HOME', undefined);
    vi.stubEnv('HOME', '/home/operator');
    expect(defaultCacheFolder()).toBe('/home/operator/.cache/model-guard');
    vi.stubEnv('HOME', 'somewhere');
    expect(defaultCacheFolder()).toBeUndefined();
    expect(openCache(undefined)).toBeUndefined();
    expect(openCache({ folder: '/elsewhere' })?.folder).toBe('/elsewhere');
    expect(openCache(false)).toBeUndefined();
  });

  it('of tests is not that of the user who runs them', () => {
    expect(defaultCacheFolder()?.startsWith(homedir() + path.sep)).toBe(false);
  });
});
