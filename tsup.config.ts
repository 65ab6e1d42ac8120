import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { defineConfig } from 'tsup';

const target = 'node20';

export default defineConfig([
  {
    entry: { index: 'src/index.ts', legacy: 'src/legacy/index.ts', 'server-kit': 'src/server-kit/index.ts' },
    format: ['esm', 'cjs'],
    // The entries share their modules in CommonJS too, so that there is one class of each kind of error and key.
    splitting: true,
    // Or a key would print as _MasterKey: classes that name themselves are renamed.
    keepNames: true,
    target,
    sourcemap: true,
    // import.meta.url in the CommonJS copy: the addon is found from where the module lies.
    shims: true,
    dts: {
      // The bundler drops the directive from the sources; without it Symbol.dispose needs the consumer's libs.
      banner: '/// <reference lib="esnext.disposable" />',
      compilerOptions: { stripInternal: true },
    },
  },
  {
    entry: { cli: 'src/cli/main.ts' },
    format: ['esm'],
    target,
    metafile: true,
    // cli-progress is CommonJS and requires Node's own modules.
    banner: { js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);" },
    onSuccess: async () => listLicences('dist/metafile-esm.json', 'dist/THIRD-PARTY-LICENSES'),
  },
]);

/** The licence of every package that the command line bundles, as the bundler itself lists them. */
function listLicences(metafile: string, out: string): void {
  const { inputs } = JSON.parse(readFileSync(metafile, 'utf8')) as { inputs: Record<string, unknown> };
  const packages = new Set(Object.keys(inputs).flatMap((file) => /^(node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []));
  const texts = [...packages].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Record<
      string,
      string
    >;
    const file = existsSync(folder) && readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} has no licence file`);
    return `${name} ${version} (${license})\n\n${readFileSync(path.join(folder, file), 'utf8').trim()}\n`;
  });
  const rule = `\n${'-'.repeat(80)}\n\n`;
  writeFileSync(out, `dist/cli.js contains these packages.\n${rule}${texts.join(rule)}`);
  rmSync(metafile);
}
