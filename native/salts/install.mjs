// npm's install step: compiles where no prebuilt binary fits, and always where MODEL_GUARD_SALTS names salts to bake, because no
// prebuilt binary has them.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const own = process.env.MODEL_GUARD_SALTS !== undefined;
const { status, stdout } = spawnSync(process.execPath, [createRequire(import.meta.url).resolve('node-gyp-build/bin.js')], {
  // The compiler's steps go to standard output, warnings and errors to standard error.
  stdio: ['inherit', 'pipe', 'inherit'],
  maxBuffer: 64 * 1024 * 1024,
  // node-gyp compiles on one core unless it is told, and tells of every step.
  env: { JOBS: 'max', npm_config_loglevel: 'error', ...process.env, ...(own && { npm_config_build_from_source: 'true' }) },
});
if (status !== 0) process.stderr.write(stdout ?? '');
process.exit(status ?? 1);
