// Builds test/addon (the core's primitives for the third-party vectors) and test/machine-addon (the whole addon over recorded
// machines). Incremental; the sources are those of the addon, the salts the public ones.
import './installed.mjs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js');
const { MODEL_GUARD_SALTS: _, ...env } = process.env;

const changed = (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** Runs node-gyp; resolves with what it said where it failed. */
async function gyp(step, cwd) {
  const child = spawn(process.execPath, [nodeGyp, step, '--loglevel=error', '--jobs=max'], { cwd, env });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => said.push(bytes));
  const [code] = await once(child, 'close');
  return code === 0 ? undefined : Buffer.concat(said).toString();
}

async function build(name) {
  const folder = `${root}test/${name}`;
  // make itself does not see that the list of sources changed.
  const lists = [`${folder}/binding.gyp`, `${root}native/common.gypi`, `${root}native/sources.txt`];
  const stale = Math.max(...lists.map(changed)) > changed(`${folder}/build/Makefile`);
  if (stale) console.error(`Compiling test/${name}, which takes a minute or two.`);
  return (stale ? await gyp('configure', folder) : undefined) ?? (await gyp('build', folder));
}

const failures = (await Promise.all(['addon', 'machine-addon'].map(build))).filter(Boolean);
for (const failure of failures) process.stderr.write(failure);
process.exit(failures.length === 0 ? 0 : 1);
