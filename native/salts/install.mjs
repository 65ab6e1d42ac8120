// npm's install step: compiles where no prebuilt binary fits, and always where MODEL_GUARD_SALTS names salts to bake, because no
// prebuilt binary has them.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const own = process.env.MODEL_GUARD_SALTS !== undefined;
const { status } = spawnSync(process.execPath, [createRequire(import.meta.url).resolve('node-gyp-build/bin.js')], {
  stdio: 'inherit',
  // node-gyp compiles on one core unless it is told.
  env: { JOBS: 'max', ...process.env, ...(own && { npm_config_build_from_source: 'true' }) },
});
process.exit(status ?? 1);
