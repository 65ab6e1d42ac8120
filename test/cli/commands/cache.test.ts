/** `cache`, and the flags of `load` that are about it. */
import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CiphertextCache } from '../../../src/cache/cache.js';
import { keyOf, put } from '../../support/cached-parts.js';
import { modelGuard, succeed } from '../../support/cli.js';
import { temporaryFolder } from '../../support/temp.js';

const base = temporaryFolder('cli-cache');
const at = (name: string): string => path.join(base, name);
const folder = at('cache');
const flags = ['--cache-folder', folder] as const;
const [older, newer] = [keyOf(1, 1000), keyOf(2, 2000)];

const fill = async (): Promise<void> => {
  const cache = new CiphertextCache({ folder, maxBytes: 1e9 });
  await put(cache, older);
  utimesSync(path.join(folder, `big-parts/v1/${older.digest}-${older.offset}`), 1000, 1000);
  await put(cache, newer);
};

describe('cache', () => {
  it('lists what is kept, for people and for machines', async () => {
    expect((await succeed('cache', 'list', ...flags)).stdout.trim()).toBe('None.');
    await fill();
    const { stdout } = await succeed('cache', 'list', ...flags, '--json');
    const used = expect.any(Number);
    expect(JSON.parse(stdout)).toEqual([
      { ...newer, used },
      { ...older, used },
    ]);
    expect((await succeed('cache', 'list', ...flags)).stdout).toMatch(new RegExp(`${newer.digest.slice(0, 16)} +2 +2\\.0 KiB`));
  });

  it('trims to a size, and clears', async () => {
    const { stdout } = await succeed('cache', 'trim', '--max-bytes', '2500', ...flags, '--json');
    expect(JSON.parse(stdout)).toMatchObject([older]);
    expect((await succeed('cache', 'trim', ...flags)).stdout).toContain('0 entries removed, 0 B');
    expect((await succeed('cache', 'clear', ...flags)).stdout).toContain(`${folder}: 1 entry removed, 2.0 KiB`);
    expect(readdirSync(path.join(folder, 'big-parts/v1'))).toEqual([]);
  });

  it('refuses a size that is none, and a folder that is none', async () => {
    for (const bytes of ['-1', 'much', '1.5'])
      expect(await modelGuard('cache', 'trim', `--max-bytes=${bytes}`, ...flags)).toMatchObject({ code: 2 });
    writeFileSync(at('a-file'), '');
    expect(await modelGuard('cache', 'clear', '--cache-folder', at('a-file'))).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('SOURCE_UNSUPPORTED'),
    });
  });

  it('shows an example', async () => {
    expect((await succeed('cache', '--help')).stdout).toMatch(/Example:\n {2}model-guard cache /);
  });
});

describe('the default folder', () => {
  const { XDG_CACHE_HOME, HOME } = process.env;
  afterAll(() => {
    Object.assign(process.env, { XDG_CACHE_HOME, HOME });
  });

  it('lies in XDG_CACHE_HOME; without a home folder there is none', async () => {
    process.env.XDG_CACHE_HOME = at('xdg');
    expect((await succeed('cache', 'clear')).stdout).toContain(at('xdg/model-guard'));
    Object.assign(process.env, { XDG_CACHE_HOME: '', HOME: 'nowhere' });
    expect(await modelGuard('cache', 'list')).toMatchObject({ code: 2, stderr: expect.stringContaining('--cache-folder') });
  });
});

describe('load', () => {
  beforeAll(async () => {
    writeFileSync(at('net.onnx'), 'a small model');
    await succeed('keygen', '--out', at('master.key'));
    const sealing = ['net@1', '--recipient', at('master.key'), '--store', at('store')];
    await succeed('protect', at('net.onnx'), ...sealing);
  });
  const load = (...more: string[]) =>
    modelGuard(
      'load',
      'net@1',
      '--store',
      at('store'),
      '--identity',
      at('master.key'),
      '--unsigned',
      'accept',
      '--out',
      '-',
      ...more,
    );

  it('takes either flag, not both, and keeps nothing of a store on this machine', async () => {
    expect(await load('--no-cache')).toMatchObject({ code: 0, stdout: 'a small model' });
    expect(await load('--cache-folder', at('unused'))).toMatchObject({ code: 0, stdout: 'a small model' });
    expect(existsSync(at('unused'))).toBe(false);
    expect(await load('--no-cache', '--cache-folder', at('unused'))).toMatchObject({ code: 2 });
  });
});
