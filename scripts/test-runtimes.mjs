// Loads protected models into the runtimes of test/model-runtimes/package.json, which it installs there. They are large: `npm ci` leaves
// them out, and so do other tests.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = path.join(root, 'test/model-runtimes');

function step(command, args, options) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (status !== 0) process.exit(status ?? 1);
}
const install = (...words) =>
  step('npm', ['install', '--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund', '--no-save', ...words], {
    cwd: folder,
  });

// The optional packages are binaries for graphics cards and other systems: a gigabyte. Those for this machine are chosen by name.
const system = new RegExp(`linux-${process.arch}$`);
install();
const binaries = ['node-llama-cpp', 'sharp'].flatMap((name) => {
  const { optionalDependencies } = JSON.parse(readFileSync(path.join(folder, 'node_modules', name, 'package.json'), 'utf8'));
  return Object.entries(optionalDependencies).filter(([binary]) => system.test(binary));
});
install(...binaries.map(([name, version]) => `${name}@${version}`));
step(process.execPath, [
  path.join(root, 'node_modules/vitest/vitest.mjs'),
  'run',
  '--project',
  'runtimes',
  ...process.argv.slice(2),
]);
