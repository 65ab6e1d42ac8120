// Loads protected models into the runtimes of test/model-runtimes/package.json, which it installs there. They are large: `npm ci` leaves
// them out, and so do other tests.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = path.join(root, 'test/model-runtimes');
// Their optional packages are binaries for graphics cards and other systems: a gigabyte. These are the ones for this machine.
const binaries = [
  `@node-llama-cpp/linux-${process.arch}@3.22.1`,
  `@img/sharp-linux-${process.arch}@0.35.4`,
  `@img/sharp-libvips-linux-${process.arch}`,
];

function step(command, args, options) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (status !== 0) process.exit(status ?? 1);
}
const quiet = ['--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save'];
step('npm', ['install', ...quiet, ...binaries], { cwd: folder });
step(process.execPath, [
  path.join(root, 'node_modules/vitest/vitest.mjs'),
  'run',
  '--project',
  'runtimes',
  ...process.argv.slice(2),
]);
