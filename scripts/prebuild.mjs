// Makes the binary that the npm package brings: prebuilds/PLATFORM-ARCH/, with its own OpenSSL on Linux, so that it runs in every runtime.
//   npm run prebuild                       for this machine
//   npm run prebuild -- --arch arm64       for the other processor; needs g++-aarch64-linux-gnu
//   npm run prebuild -- --glibc 2.31       fails where the binary needs a newer glibc than that
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { checkAddon } from './prebuild/check-addon.mjs';
import { MACHINES, ownCrypto, root, toolPrefix } from './prebuild/own-crypto.mjs';

const require = createRequire(import.meta.url);
const MAX_BYTES = 5_000_000;

const { arch, glibc } = parseArgs({
  options: { arch: { type: 'string', default: process.arch }, glibc: { type: 'string' } },
}).values;
const target = `${process.platform}-${arch}`;
const linux = process.platform === 'linux';
if (linux && !Object.hasOwn(MACHINES, arch)) fail(`--arch ${arch}: prebuilds are for ${Object.keys(MACHINES).join(' and ')}`);

/** Runs a step, with what it says in view; ends where it fails. */
function step(command, args, env = process.env) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env });
  if (status !== 0) fail(`${path.basename(command)} failed${error ? `: ${error.message}` : ''}`);
}

function fail(what) {
  console.error(`prebuild: ${what}`);
  process.exit(1);
}

const cross = toolPrefix(arch);
const { folder: crypto, env } = ownCrypto(arch);
if (linux) step(path.join(root, 'scripts/crypto/build.sh'), [target]);

const prebuildify = require.resolve('prebuildify/bin.js');
const options = ['--napi', '--strip', '--tag-libc', '--arch', arch, ...(cross ? ['--strip-bin', `${cross}strip`] : [])];
step(process.execPath, [prebuildify, ...options], linux ? env : process.env);
if (!linux) process.exit(0);

const folder = path.join(root, 'prebuilds', target);
for (const name of readdirSync(crypto).filter((name) => name.startsWith('LICENSE.')))
  cpSync(path.join(crypto, name), path.join(folder, name));
cpSync(path.join(root, 'node_modules/node-addon-api/LICENSE.md'), path.join(folder, 'LICENSE.node-addon-api.txt'));
const addon = path.join(
  folder,
  readdirSync(folder).find((name) => name.endsWith('.node')),
);
const { problems, newestGlibc } = checkAddon(addon, { tool: (name) => `${cross}${name}`, glibc });
const { size } = statSync(addon);
if (size > MAX_BYTES) problems.push(`it has ${size} bytes, and at most ${MAX_BYTES} are allowed`);
if (problems.length > 0) fail(`${addon}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
const digest = execFileSync('sha256sum', [addon], { encoding: 'utf8' }).slice(0, 64);
console.log(`${path.relative(root, addon)}: ${(size / 1e6).toFixed(1)} MB, glibc ${newestGlibc} or newer, SHA-256 ${digest}`);
