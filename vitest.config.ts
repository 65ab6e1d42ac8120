import { defineConfig } from 'vitest/config';

/** `unit` is what `npm test` runs; `slow` needs large files, many child processes or minutes. */
export default defineConfig({
  test: {
    maxWorkers: '100%',
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/slow/**'],
          testTimeout: 30_000,
          hookTimeout: 30_000,
        },
      },
      { test: { name: 'slow', include: ['test/slow/**/*.slow.test.ts'], testTimeout: 600_000, hookTimeout: 600_000 } },
    ],
  },
});
