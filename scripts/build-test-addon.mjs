// Builds test/addon: the core's primitives for the third-party vectors. Incremental; the sources are those of the addon.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../test/addon', import.meta.url));
const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
const steps = existsSync(`${folder}/build/Makefile`) ? [['build']] : [['configure'], ['build']];
for (const step of steps) {
  const run = spawnSync(process.execPath, [nodeGyp, ...step, '--loglevel=error', '--jobs=max'], {
    cwd: folder,
    encoding: 'utf8',
  });
  if (run.status !== 0) {
    process.stderr.write(run.stdout + run.stderr);
    process.exit(run.status ?? 1);
  }
}
