/** The way to a bucket on this machine that README.md names. If it fails, a reader without AWS cannot try `s3Store`. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { blockWith, clone, readme } from '../support/readme-blocks.js';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

it('with-bucket.mjs gives the bucket, its keys and its CDN to the block of README.md', () => {
  const folder = clone(temporaryFolder('readme-bucket'));
  writeFileSync(path.join(folder, 'example.mjs'), blockWith(readme, 's3Store({'));
  const script = path.join(projectRoot, 'scripts/services/with-bucket.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, process.execPath, 'example.mjs'], {
    cwd: folder,
    env: { ...process.env, XDG_CACHE_HOME: path.join(folder, 'cache') },
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
});
