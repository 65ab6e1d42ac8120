/**
 * The entry for the guard server brings nothing of the command line along. Commander, once bundled into it, asks for Node's modules in a
 * way that ES modules do not have, and no server starts.
 */
import path from 'node:path';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { projectRoot } from './support/shared.js';

it('src/server-kit leads to no Commander', async () => {
  const { metafile } = await build({
    entryPoints: [path.join(projectRoot, 'src/server-kit/index.ts')],
    bundle: true,
    write: false,
    outdir: 'unused',
    platform: 'node',
    format: 'esm',
    packages: 'external',
    metafile: true,
    logLevel: 'silent',
  });
  const imported = Object.values(metafile.inputs).flatMap(({ imports }) => imports.map((one) => one.path));
  expect(imported).toContain('zod');
  expect(imported).not.toContain('commander');
});
