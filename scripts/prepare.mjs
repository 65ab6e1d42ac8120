// npm's prepare step. The root is linked into its own workspaces, so npm runs it twice: what is newer than its sources stays.
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

function build(script, built, ...sources) {
  if (changed(built) > Math.max(...sources.map(newest))) return;
  const { status } = spawnSync('npm', ['run', ...script], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

// The last file that each build writes.
build(['build:ts'], 'dist/THIRD-PARTY-LICENSES', 'src');
build(['build', '--workspace', 'server'], 'server/dist/index.d.ts', 'src', 'server/src');
