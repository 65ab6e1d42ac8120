/**
 * The entry for the guard server brings nothing of the command line along, and loads the AWS SDK only where a bucket is used. Commander,
 * once bundled into it, asks for Node's modules in a way that ES modules do not have, and no server starts.
 */
import path from 'node:path';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { projectRoot } from '../support/shared.js';

it('src/server-kit leads to no Commander, and to the AWS SDK at first use alone', async () => {
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
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  const kindsOf = (name: string) => imports.filter(({ path: imported }) => imported.startsWith(name)).map(({ kind }) => kind);
  expect(kindsOf('zod')).toContain('import-statement');
  expect(kindsOf('commander')).toEqual([]);
  expect(kindsOf('@aws-sdk/')).toEqual(['dynamic-import']);
});
