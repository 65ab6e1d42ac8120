import { defineConfig } from 'tsup';

export default defineConfig({
  entry: { index: 'src/index.ts', main: 'src/start/main.ts' },
  format: ['esm'],
  target: 'node20',
  // Optional, so tsup would put it into the bundle.
  external: ['better-sqlite3'],
  dts: { entry: { index: 'src/index.ts' } },
});
