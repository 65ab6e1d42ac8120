import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** The server's tests run on the sources of both packages, so that there is one copy of each module. */
const source = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const alias = [
  { find: /^@org\/model-guard\/server-kit$/, replacement: source('src/server-kit/index.ts') },
  { find: /^@org\/model-guard$/, replacement: source('src/index.ts') },
];

/** The same tests on PostgreSQL (MG_TEST_DATABASE=postgres) ask another process for every row. */
const serverTimeout = process.env.MG_TEST_DATABASE === 'postgres' ? 120_000 : 30_000;

/**
 * `unit` and `server` are what `npm test` runs; `slow` needs large files, many child processes or minutes; `services` needs an
 * S3 server and PostgreSQL, which `npm run test:services` starts.
 */
export default defineConfig({
  test: {
    maxWorkers: '100%',
    globalSetup: [source('test/support/environment.ts')],
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'server',
          // One copy of the modules for all files: importing a server takes seconds. Who mocks a module goes to isolated/.
          isolate: false,
          include: ['server/test/**/*.test.ts'],
          exclude: ['server/test/slow/**', 'server/test/services/**', 'server/test/isolated/**'],
          testTimeout: serverTimeout,
          hookTimeout: serverTimeout,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts', 'server/test/isolated/**/*.test.ts'],
          exclude: ['test/slow/**', 'test/services/**'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'services',
          include: ['test/services/**/*.services.test.ts', 'server/test/services/**/*.services.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'slow',
          include: ['test/slow/**/*.slow.test.ts', 'server/test/slow/**/*.slow.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
