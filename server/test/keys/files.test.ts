/**
 * The files of keys. If these fail, copies of keys from processes that were killed stay in the folder, or the file that another process is
 * writing is removed.
 */
import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../../../test/support/temp.js';
import { removeLeftovers } from '../../src/keys/files.js';

it('only temporary files that nobody has written to for a minute are removed', async () => {
  const folder = temporaryFolder('key-leftovers');
  const [old, young] = [`.tmp-${'0a'.repeat(12)}`, `.tmp-${'1b'.repeat(12)}`];
  const foreign = ['encryption-AAAAAAAAAAAAAAAA.key', '.tmp-short', `x.tmp-${'0a'.repeat(12)}`];
  for (const name of [old, young, ...foreign]) await writeFile(join(folder, name), '');
  const before = new Date(Date.now() - 61_000);
  for (const name of [old, ...foreign]) await utimes(join(folder, name), before, before);
  await removeLeftovers(folder);
  expect((await readdir(folder)).sort()).toEqual([young, ...foreign].sort());
});
