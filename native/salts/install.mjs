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
if (status !== 0) {
  process.stderr.write(stdout ?? '');
  const reason = own ? 'MODEL_GUARD_SALTS names salts of your own' : `the package brings none that loads on this system (${process.platform}-${process.arch})`;
  console.error(
    `@org/model-guard: the native addon has to be compiled, because ${reason}, and that failed. It needs Python 3, make and a C++17 compiler, such as ` +
      '`apt-get install python3 make g++` on Debian and Ubuntu, or `apk add python3 make g++` on Alpine.',
  );
}
process.exit(status ?? 1);
