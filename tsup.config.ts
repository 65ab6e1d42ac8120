import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { defineConfig, type Options } from 'tsup';

type Plugin = NonNullable<Options['esbuildPlugins']>[number];

const target = 'node20';
/** Folders of the packages that end up in dist. */
const bundled = new Set<string>();

export default defineConfig([
  {
    entry: { index: 'src/index.ts', legacy: 'src/legacy/index.ts', 'server-kit': 'src/server-kit/index.ts' },
    format: ['esm', 'cjs'],
    // The entries share their modules in CommonJS too, so that there is one class of each kind of error and key.
    splitting: true,
    // Or a key would print as _MasterKey: classes that name themselves are renamed.
    keepNames: true,
    target,
    // The addon is found from where the module lies.
    esbuildOptions(options, { format }) {
      if (format === 'cjs') options.define = { ...options.define, 'import.meta.dirname': '__dirname' };
    },
    // The optional peer: bundlers pass over a require() in try where it is not installed, and jest has no import().
    plugins: [
      {
        name: 'require-the-optional-peer',
        renderChunk(code) {
          if (this.format !== 'cjs') return undefined;
          return { code: code.replaceAll('import("@aws-sdk/client-s3")', 'require("@aws-sdk/client-s3")') };
        },
      },
    ],
    // Dependencies stay outside; what is a devDependency, such as jose, goes in.
    esbuildPlugins: [licences(), withoutClassFields(/\/node_modules\/jose\//)],
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
    esbuildPlugins: [licences()],
    // cli-progress is CommonJS and requires Node's own modules.
    banner: { js: "import { createRequire as requireFrom } from 'node:module';\nconst require = requireFrom(import.meta.url);" },
  },
]);

/** The licence of every package in `folders`. */
function listLicences(folders: Iterable<string>, out: string): void {
  const texts = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Record<
      string,
      string
    >;
    const file = existsSync(folder) && readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (!file) throw new Error(`${name} has no licence file`);
    return `${name} ${version} (${license})\n\n${readFileSync(path.join(folder, file), 'utf8').trim()}\n`;
  });
  const rule = `\n${'-'.repeat(80)}\n\n`;
  mkdirSync(path.dirname(out), { recursive: true });
  writeFileSync(out, `The files beside this one contain these packages.\n${rule}${texts.join(rule)}`);
}

/** tsup's way to split CommonJS breaks constructors whose call of super() is part of a longer expression, where there are fields. */
function withoutClassFields(filter: RegExp): Plugin {
  return {
    name: 'without-class-fields',
    setup(build) {
      build.onLoad({ filter }, async ({ path: file }) => {
        const { code } = await build.esbuild.transform(readFileSync(file, 'utf8'), { loader: 'js', target: 'es2021' });
        return { contents: code, loader: 'js' };
      });
    },
  };
}

/** Lists the licences of what is bundled, as the bundler itself tells it. The builds run side by side: the last one knows all. */
function licences(): Plugin {
  return {
    name: 'licences',
    setup(build) {
      build.initialOptions.metafile = true;
      build.onEnd(({ metafile }) => {
        for (const file of Object.keys(metafile?.inputs ?? {})) {
          const folder = /^(.*\bnode_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1];
          if (folder !== undefined) bundled.add(folder);
        }
        listLicences(bundled, path.join(build.initialOptions.outdir ?? 'dist', 'THIRD-PARTY-LICENSES'));
      });
    },
  };
}
