// The installed package in every runtime that it is for: each tells test/runtimes/story.mjs, with a guard server of its own. The runtimes
// come from npm, at one version each.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const STORY = fileURLToPath(new URL('../../test/runtimes/story.mjs', import.meta.url));
const PACKAGES = {
  'node-20': `npm:node-linux-${process.arch}@20.20.2`,
  'node-22': `npm:node-linux-${process.arch}@22.23.5`,
  'node-24': `npm:node-linux-${process.arch}@24.22.3`,
  'node-26': `npm:node-linux-${process.arch}@26.12.1`,
  bun: '1.4.5',
  deno: '2.9.6',
};
/** The words that start a script, under `node_modules`. Bun's and Deno's own packages name one package for each system. */
const COMMANDS = {
  ...Object.fromEntries([20, 22, 24, 26].map((major) => [`node-${major}`, [`node-${major}/bin/node`, '--expose-gc']])),
  bun: [`@oven/bun-linux-${process.arch === 'x64' ? 'x64' : 'aarch64'}/bin/bun`],
  deno: [`@deno/linux-${process.arch}-glibc/deno`, 'run', '--allow-all', '--v8-flags=--expose-gc'],
};

/** `project` has both packages installed; `run` runs a command and ends the script where it fails. Prints a table. */
export async function tellStories({ project, temporary, run }) {
  const runtimes = path.join(temporary, 'runtimes');
  mkdirSync(runtimes);
  writeFileSync(path.join(runtimes, 'package.json'), JSON.stringify({ name: 'runtimes', private: true }));
  const wanted = Object.entries(PACKAGES).map(([name, source]) => `${name}@${source}`);
  const quiet = ['--no-audit', '--no-fund', '--silent', '--ignore-scripts'];
  run('npm install of the runtimes', 'npm', ['install', ...quiet, ...wanted], { cwd: runtimes });
  const script = path.join(project, 'story.mjs');
  cpSync(STORY, script);
  const rows = [];
  for (const [name, [binary, ...words]] of Object.entries(COMMANDS)) {
    const guard = await startGuard(project, path.join(temporary, `guard-${name}`));
    const command = path.join(runtimes, 'node_modules', binary);
    const said = run(`the story in ${name}`, command, [...words, script], {
      cwd: project,
      env: { ...process.env, STORY_GUARD: JSON.stringify(guard.facts) },
      timeout: 600_000,
    });
    await guard.stop();
    const { runtime, openssl, chapters } = JSON.parse(said);
    if (openssl.from !== 'own') throw new Error(`${name} used OpenSSL ${openssl.version} (${openssl.from})`);
    rows.push({ runtime: `${runtime.name} ${runtime.version}`, OpenSSL: openssl.version, ...chapters });
  }
  console.log('Milliseconds of each chapter:');
  console.table(rows);
}

/** A server of the installed package, on an empty folder, with what a first client needs. */
export async function startGuard(project, data) {
  const main = path.join(project, 'node_modules/@org/model-guard-server/bin/model-guard-server.js');
  const child = spawn(process.execPath, [main, '--data', data, '--port', '0'], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const facts = {};
  for await (const line of createInterface({ input: child.stdout })) {
    const { url, signing_key: serverKey, file } = JSON.parse(line);
    if (url) Object.assign(facts, { url, serverKey });
    if (file) facts.passwordFile = file;
    if (facts.url && facts.passwordFile) break;
  }
  if (!facts.url) throw new Error('the guard server did not start');
  child.stdout.resume();
  const stop = async () => {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  };
  return { facts, stop };
}
