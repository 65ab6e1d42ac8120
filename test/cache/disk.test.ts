/** A cache on a full disk and on a read-only one, as mounts of a child's own. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { startChild } from '../support/children.js';
import { skipTest } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('cache-disk');
const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', base]).status === 0;

describe('a cache on a disk', () => {
  it.for([
    ['full', 'size=1m'],
    ['read-only', 'ro'],
  ] as const)('that is %s fails no load, says so once and leaves nothing', async ([what, options], context) => {
    if (!canMount) skipTest(context, 'this user may not mount');
    const [folder, source] = [path.join(base, what), path.join(base, `${what}.onnx`)];
    mkdirSync(folder);
    writeFileSync(source, new Uint8Array(3_000_000).fill(7));
    const prefix = ['unshare', '-rm', 'sh', '-c', `mount -t tmpfs -o ${options} tmpfs ${folder} && exec "$@"`, 'sh'];
    const child = startChild('cache-disk.ts', { prefix, args: [folder, source] });
    expect(await child.line()).toBe('load: 3000000, 0 left, 1 warnings');
    expect(await child.line()).toBe('put: false, 0 left, 1 warnings');
    expect((await child.ended).code).toBe(0);
  });
});
