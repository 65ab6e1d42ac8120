import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** The server's tests run on the sources of both packages, so that there is one copy of each module. */
const source = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const alias = [
  { find: /^@org\/model-guard\/server-kit$/, replacement: source('src/server-kit/index.ts') },
  { find: /^@org\/model-guard$/, replacement: source('src/index.ts') },
];

/** `unit` is what `npm test` runs; `slow` needs large files, many child processes or minutes. */
export default defineConfig({
  test: {
    maxWorkers: '100%',
    projects: [
      {
        resolve: { alias },
        test: {
          name: 'server',
          // One copy of the modules for all files: importing a server takes seconds. Who mocks a module goes to isolated/.
          isolate: false,
          include: ['server/test/**/*.test.ts'],
          exclude: ['server/test/slow/**', 'server/test/isolated/**'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      {
        resolve: { alias },
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts', 'server/test/isolated/**/*.test.ts'],
          exclude: ['test/slow/**'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
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
