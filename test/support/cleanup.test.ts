/** Helpers of tests clean up wherever they are called. Without this, folders and child processes of a test stay on the machine after a run. */
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { Child } from './children.js';
import { atEndOfFile, cleanUp } from './cleanup.js';
import { projectRoot } from './shared.js';
import { temporaryFolder } from './temp.js';

const top = temporaryFolder('at-the-top');
let hook = '';
beforeAll(() => {
  hook = temporaryFolder('in-a-hook');
});

it('removes folders and ends children, also of a hook and of a test', async () => {
  const folders = [top, hook, temporaryFolder('in-a-test')];
  const child = new Child([process.execPath, '-e', 'process.stdin.resume()']);
  expect(folders.every((folder) => existsSync(folder))).toBe(true);
  await cleanUp();
  expect(folders.some((folder) => existsSync(folder))).toBe(false);
  expect((await child.ended).signal).toBe('SIGKILL');
});

it('goes on after a task that fails, from the last task to the first', async () => {
  const order: string[] = [];
  atEndOfFile(() => order.push('first'));
  atEndOfFile(() => {
    throw new Error('second');
  });
  atEndOfFile(() => order.push('third'));
  await expect(cleanUp()).rejects.toThrow('cleaning up failed');
  expect(order).toEqual(['third', 'first']);
});

it('makes a folder in a test and leaves it to the end of the file', () => {
  expect(existsSync(temporaryFolder('left'))).toBe(true);
});

it('is done at the end of a file: a run of the test above leaves nothing', async () => {
  const base = temporaryFolder('cleanup-run');
  const vitest = path.join(projectRoot, 'node_modules/vitest/vitest.mjs');
  const args = ['run', '--project', 'unit', 'test/support/cleanup.test.ts', '-t', 'makes a folder in a test'];
  const run = new Child([process.execPath, vitest, ...args], { env: { MG_TMP: base } });
  const { code, stderr } = await run.ended;
  expect(code, stderr).toBe(0);
  expect(readdirSync(base)).toEqual([]);
});
