import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** The server's tests run on the sources of both packages, so that there is one copy of each module. */
const source = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const alias = [
  { find: /^@org\/model-guard\/server-kit$/, replacement: source('src/server-kit/index.ts') },
  { find: /^@org\/model-guard$/, replacement: source('src/index.ts') },
];

/** As in an install without better-sqlite3: the server's tests run on node:sqlite. It takes Node 24 or newer. */
const withoutBetterSqlite3 =
  process.env.MG_TEST_SQLITE === 'node:sqlite'
    ? [{ find: /^better-sqlite3$/, replacement: 'better-sqlite3-is-not-installed' }]
    : [];

const setupFiles = [source('test/support/setup.ts')];

/** Milliseconds. For what hangs, not for what is slow: a busy machine takes ten times as long as a quiet one. */
const TIMEOUT = 120_000;

/**
 * `unit` and `server` are what `npm test` runs; `slow` needs large files, many child processes or minutes; `services` needs an
 * S3 server and PostgreSQL, which `npm run test:services` starts; `runtimes` needs packages that `npm run test:runtimes` installs.
 */
export default defineConfig({
  test: {
    maxWorkers: '100%',
    globalSetup: [source('test/support/environment.ts')],
    projects: [
      {
        resolve: { alias: [...alias, ...withoutBetterSqlite3] },
        test: {
          name: 'server',
          setupFiles,
          // All files share one copy of the modules, because importing a server takes seconds. A test that mocks a module stands in isolated/.
          isolate: false,
          include: ['server/test/**/*.test.ts'],
          exclude: ['server/test/slow/**', 'server/test/services/**', 'server/test/isolated/**'],
          testTimeout: TIMEOUT,
          hookTimeout: TIMEOUT,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'unit',
          setupFiles,
          include: ['test/**/*.test.ts', 'server/test/isolated/**/*.test.ts'],
          exclude: ['test/slow/**', 'test/services/**', 'test/model-runtimes/**'],
          testTimeout: TIMEOUT,
          hookTimeout: TIMEOUT,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'services',
          setupFiles,
          include: ['test/services/**/*.services.test.ts', 'server/test/services/**/*.services.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'runtimes',
          setupFiles,
          include: ['test/model-runtimes/*.test.ts'],
          testTimeout: TIMEOUT,
          hookTimeout: TIMEOUT,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'slow',
          setupFiles,
          include: ['test/slow/**/*.slow.test.ts', 'server/test/slow/**/*.slow.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
