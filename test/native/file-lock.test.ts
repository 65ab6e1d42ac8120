/** A file lock whose handle is collected. If this fails, two servers use one folder, or two processes send from one staging folder. */
import path from 'node:path';
import { expect, it } from 'vitest';
import { call } from '../../src/native/index.js';
import { collectGarbage } from '../support/garbage.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('file-lock');
const lock = (name: string) => call((native) => native.lockFile(path.join(folder, name)));

it('stays until it is released, although nothing refers to its handle', async () => {
  expect(await lock('dropped')).toBeDefined();
  await collectGarbage();
  expect(await lock('dropped')).toBeUndefined();
});

it('is released once: a second release does not end the lock of the next holder', async () => {
  const first = await lock('released');
  first?.release();
  expect(await lock('released')).toBeDefined();
  first?.release();
  await collectGarbage();
  expect(await lock('released')).toBeUndefined();
});
