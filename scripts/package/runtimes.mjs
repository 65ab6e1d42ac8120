// The installed package in every runtime that it is for: each tells test/runtimes/story.mjs, with a guard server of its own. The runtimes
// come from npm, at one version each.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const STORY = fileURLToPath(new URL('../../test/runtimes/story.mjs', import.meta.url));
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

/** Returns the words that start a script in each runtime. `run` runs a command and ends the script where it fails. */
export function installRuntimes({ temporary, run }) {
  const runtimes = path.join(temporary, 'runtimes');
  mkdirSync(runtimes);
  writeFileSync(path.join(runtimes, 'package.json'), JSON.stringify({ name: 'runtimes', private: true }));
  const wanted = Object.entries(PACKAGES).map(([name, source]) => `${name}@${source}`);
  const quiet = ['--no-audit', '--no-fund', '--silent', '--ignore-scripts'];
  run('npm install of the runtimes', 'npm', ['install', ...quiet, ...wanted], { cwd: runtimes });
  const full = ([binary, ...words]) => [path.join(runtimes, 'node_modules', binary), ...words];
  return Object.fromEntries(Object.entries(COMMANDS).map(([name, words]) => [name, full(words)]));
}

/** `project` has both packages installed; `runtimes` is of installRuntimes. Prints a table. */
export async function tellStories({ project, runtimes, temporary, run }) {
  const script = path.join(project, 'story.mjs');
  cpSync(STORY, script);
  const rows = [];
  for (const [name, words] of Object.entries(runtimes)) {
    const guard = await startGuard({ project, data: path.join(temporary, `guard-${name}`) });
    const said = tellStory(`the story in ${name}`, { words, script, guard, run });
    await guard.stop();
    const { runtime, openssl, chapters } = JSON.parse(said);
    if (openssl.from !== 'own') throw new Error(`${name} used OpenSSL ${openssl.version} (${openssl.from})`);
    rows.push({ runtime: `${runtime.name} ${runtime.version}`, OpenSSL: openssl.version, ...chapters });
  }
  console.log('Milliseconds of each chapter:');
  console.table(rows);
}

/** The command of an installed server. */
export const serverOf = (project) => path.join(project, 'node_modules/@org/model-guard-server/bin/model-guard-server.js');

/** Runs test/runtimes/story.mjs, copied to `script`, against a guard server; returns its output. */
export const tellStory = (title, { words: [command, ...words], script, guard, run }) =>
  run(title, command, [...words, script], {
    cwd: path.dirname(script),
    env: { ...process.env, STORY_GUARD: JSON.stringify(guard.facts) },
    timeout: 600_000,
  });

/** A server of the installed package, on an empty folder, with what a first client needs. A line on stderr is an error. */
export async function startGuard({ project, data, node = process.execPath }) {
  const child = spawn(node, [serverOf(project), '--data', data, '--port', '0'], {
    cwd: project,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaint = '';
  child.stderr.on('data', (bytes) => {
    complaint += bytes;
  });
  const facts = {};
  for await (const line of createInterface({ input: child.stdout })) {
    const { url, signing_key: serverKey, database, file } = JSON.parse(line);
    if (url) Object.assign(facts, { url, serverKey, database });
    if (file) facts.passwordFile = file;
    if (facts.url && facts.passwordFile) break;
  }
  if (!facts.url) throw new Error(`the guard server did not start: ${complaint}`);
  child.stdout.resume();
  const stop = async () => {
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
    if (complaint !== '') throw new Error(`the guard server printed: ${complaint}`);
  };
  return { facts, stop };
}
