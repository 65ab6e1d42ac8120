/**
 * File systems without hard links (exFAT, SMB, FUSE) or without a sync of folders. If this fails, keys, stores and containers cannot be
 * written there, or one overwrites another.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { startChild } from '../support/children.js';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const { EINVAL, ENOSYS, EOPNOTSUPP, EPERM } = constants.errno;
const base = temporaryFolder('simple-file-system');
const library = path.join(base, 'simple-file-system.so');
execFileSync('cc', ['-shared', '-fPIC', '-o', library, path.join(projectRoot, 'test/support/simple-file-system.c'), '-ldl']);
let count = 0;

/** Lines that the child printed, by their first word or words. */
async function outcomesWith(lacks: Readonly<Record<string, number>>): Promise<Readonly<Record<string, string>>> {
  const [folder, sources] = ['share', 'sources'].map((name) => path.join(base, `${name}-${count}`)) as [string, string];
  count += 1;
  for (const one of [folder, sources]) mkdirSync(one);
  const env = Object.fromEntries(Object.entries(lacks).map(([name, code]) => [name, String(code)]));
  const child = startChild('simple-file-system.ts', {
    args: [folder, sources],
    env: { ...env, LD_PRELOAD: library, MG_SIMPLE: folder },
  });
  const outcomes: Record<string, string> = {};
  for (const name of ['a key', 'protect', 'resume', 'encrypt', 'split', 'won', 'left'])
    outcomes[name] = await child.waitFor(name);
  expect((await child.ended).code).toBe(0);
  return outcomes;
}

const ALL = {
  'a key': 'done ALREADY_EXISTS',
  protect: 'done ALREADY_EXISTS',
  resume: 'done done',
  encrypt: 'done ALREADY_EXISTS',
  split: 'done ALREADY_EXISTS',
  won: '1',
  left: '0',
};

describe('everything is written, and nothing is overwritten, on a file system', () => {
  it.each<[string, Readonly<Record<string, number>>]>([
    ['without hard links (vfat, exFAT)', { MG_LINK: EPERM }],
    ['without hard links (SMB), which cannot sync folders', { MG_LINK: EOPNOTSUPP, MG_SYNC_FOLDER: EINVAL }],
    ['with rename alone (FUSE)', { MG_LINK: ENOSYS, MG_RENAME_NEW: EINVAL, MG_SYNC_FOLDER: ENOSYS }],
    ['that cannot sync folders (gocryptfs)', { MG_SYNC_FOLDER: EOPNOTSUPP }],
    ['where a sync of a folder is forbidden', { MG_SYNC_FOLDER: EPERM }],
  ])('%s', async (_, lacks) => {
    expect(await outcomesWith(lacks)).toEqual(ALL);
  });
});

it('a folder that refuses new names is an error, and nothing is left in it', async () => {
  const refused = { MG_LINK: EPERM, MG_RENAME_NEW: EPERM, MG_RENAME: EPERM };
  const { 'a key': key, encrypt, won, left } = await outcomesWith(refused);
  const twice = 'PERMISSION_DENIED PERMISSION_DENIED';
  expect({ key, encrypt, won, left }).toEqual({ key: twice, encrypt: twice, won: '0', left: '0' });
});

it('a disk that fails during the sync of a folder is an error', async () => {
  expect((await outcomesWith({ MG_SYNC_FOLDER: constants.errno.EIO })).encrypt).toMatch(/^IO_FAILED/);
});
