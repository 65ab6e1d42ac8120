// npm's prepare step, and the step before lint and the package test. The root is linked into its own workspaces, so npm runs it twice: what is
// newer than its sources stays. `npm ci` makes a clone usable, and npx links it into its cache to run it: declarations, most of the
// build's time, serve compilers alone, so that whatever needs them makes them (lint, packing, `npm install`).
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const changed = (file) => statSync(path.join(root, file), { throwIfNoEntry: false })?.mtimeMs ?? 0;
const newest = (folder) =>
  Math.max(
    ...readdirSync(path.join(root, folder), { recursive: true }).map((file) => changed(path.join(folder, file))),
    ...['package.json', 'tsup.config.ts', 'server/package.json', 'server/tsup.config.ts'].map(changed),
  );

const declarations = !['ci', 'exec'].includes(process.env.npm_command);

/** `code` and `types`: the last files that the build writes of each. Quiet, but for the minute that declarations take. */
function build(script, { code, types }, ...sources) {
  const since = Math.max(...sources.map(newest));
  if (changed(code) > since && (!declarations || changed(types) > since)) return;
  if (declarations) console.error(`Building ${path.dirname(code)}/ with declarations, which takes a minute or two.`);
  const flags = ['--silent', ...(declarations ? [] : ['--no-dts'])];
  const { status } = spawnSync('npm', ['run', '--silent', ...script, '--', ...flags], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

build(['build:ts'], { code: 'dist/THIRD-PARTY-LICENSES', types: 'dist/index.d.ts' }, 'src');
build(['build', '--workspace', 'server'], { code: 'server/dist/main.js', types: 'server/dist/index.d.ts' }, 'src', 'server/src');
