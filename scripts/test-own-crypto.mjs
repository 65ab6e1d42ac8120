// Runs tests of formats and primitives over the OpenSSL of the prebuilds: all third-party vectors, tampering, HPKE, recipients, the legacy
// profile. The addon is prebuilds/PLATFORM-ARCH/, which `npm run prebuild` or scripts/prebuild/debian11.sh has made.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { ownCrypto, root } from './prebuild/own-crypto.mjs';

const TESTS = ['test/vectors', 'test/format', 'test/recipients', 'test/legacy', 'test/keys', 'test/protect-load.test.ts'];

const require = createRequire(import.meta.url);
const target = `${process.platform}-${process.arch}`;

function step(command, args, options) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (status !== 0) process.exit(status ?? 1);
}

const prebuilds = path.join(root, 'prebuilds', target);
const addon = existsSync(prebuilds) && readdirSync(prebuilds).find((name) => name.endsWith('.node'));
if (!addon) {
  console.error(`There is no prebuild for ${target}. Make it first: npm run prebuild`);
  process.exit(1);
}
step(path.join(root, 'scripts/crypto/ensure.sh'), [target]);
console.log('Compiling test/own-crypto, which takes a minute or two.');
const { env } = ownCrypto(process.arch);
const nodeGyp = require.resolve('node-gyp/bin/node-gyp.js');
const { MODEL_GUARD_SALTS: _, ...publicSalts } = env;
for (const word of ['configure', 'build'])
  step(process.execPath, [nodeGyp, word, '--loglevel=error', '--jobs=max'], {
    cwd: path.join(root, 'test/own-crypto'),
    env: publicSalts,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
step(process.execPath, [path.join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'unit', ...TESTS], {
  env: { ...process.env, MG_TEST_ADDON: path.join(prebuilds, addon) },
});
