// Builds the package of the current folder with tsup, whose flags it takes. The build is made in a folder of its own and then moved over
// dist/, file by file: programs that use dist/ meanwhile find a whole build at any time, and a build that fails changes nothing.
import './installed.mjs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';

// Before there is anything to clear away: tsup may run before this process goes on.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

// Beside dist/, so that the relative paths in source maps stay right.
const built = mkdtempSync('dist-');
const child = spawn('tsup', ['--out-dir', built, ...process.argv.slice(2)], { stdio: 'inherit' });
process.on('exit', () => {
  child.kill();
  rmSync(built, { recursive: true, force: true });
});
const [code] = await once(child, 'close');
if (code !== 0) process.exit(code ?? 1);

mkdirSync('dist', { recursive: true });
const outdated = new Set(readdirSync('dist'));
const entry = (file) => !/-\w{8}\./.test(file);
// Chunks, which have a hash in their names, come before the entries that import them, and old chunks go last.
for (const file of readdirSync(built).sort((a, b) => entry(a) - entry(b))) {
  renameSync(path.join(built, file), path.join('dist', file));
  outdated.delete(file);
}
for (const file of outdated) rmSync(path.join('dist', file), { recursive: true });
