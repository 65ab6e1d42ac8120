/** A full disk and a read-only one, as mounts of a child's own. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { startChild } from '../support/children.js';
import { skipTest } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('bad-disk');
const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', base]).status === 0;
const ATTEMPTS = ['protect', 'protect, streaming', 'protect, small part', 'encrypt', 'split'];

describe('writing to a disk', () => {
  it.for([
    ['full', 'size=1m', 'NO_SPACE'],
    ['read-only', 'ro', 'READ_ONLY'],
  ] as const)('that is %s fails with a code and leaves nothing', async ([what, options, code], context) => {
    if (!canMount) skipTest(context, 'this user may not mount');
    const [folder, sources] = [path.join(base, what), path.join(base, `${what}-sources`)];
    for (const one of [folder, sources]) mkdirSync(one);
    const prefix = ['unshare', '-rm', 'sh', '-c', `mount -t tmpfs -o ${options} tmpfs ${folder} && exec "$@"`, 'sh'];
    const child = startChild('bad-disk.ts', { prefix, args: [folder, sources] });
    for (const attempt of ATTEMPTS) expect(await child.line()).toBe(`${attempt}: ${code}, 0 left`);
    expect((await child.ended).code).toBe(0);
  });
});
