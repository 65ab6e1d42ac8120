/**
 * The blocks of README.md and server/README.md, run as they are printed in a folder like a fresh clone. A name that no block defines, a
 * file that an earlier step does not leave, or a flag that is gone fails here before a new user meets it. Only the port of the server is
 * another than the printed one.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeS3 } from '../support/fake-s3.js';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('readme');
const SHELL = ['-euo', 'pipefail', '-c'];
const PRINTED_PORT = '8080';

interface Block {
  readonly language: string;
  readonly text: string;
}
const blocksOf = (file: string): readonly Block[] =>
  [...readFileSync(path.join(projectRoot, file), 'utf8').matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, text]) => ({
    language: `${language}`,
    text: `${text}`,
  }));
const readme = blocksOf('README.md');
const serverReadme = blocksOf('server/README.md');

/** The one block of its file with these words in it. */
function blockWith(blocks: readonly Block[], words: string): string {
  const found = blocks.filter(({ text }) => text.includes(words));
  if (found.length !== 1) throw new Error(`${found.length} blocks have ${words}`);
  return (found[0] as Block).text;
}

/** A folder that holds what a clone does after `npm ci`, as far as the blocks use it. */
function clone(): string {
  const folder = mkdtempSync(path.join(base, 'clone-'));
  const [modules, linked] = [path.join(projectRoot, 'node_modules'), path.join(folder, 'node_modules')];
  // npx finds commands below a folder, not below a link.
  mkdirSync(linked);
  for (const name of readdirSync(modules)) symlinkSync(path.join(modules, name), path.join(linked, name));
  symlinkSync(path.join(projectRoot, 'examples'), path.join(folder, 'examples'));
  writeFileSync(path.join(folder, 'package.json'), '{"private":true}');
  return folder;
}

/** A user of their own: no profile, cache or state of the person who runs the tests. */
const home = path.join(base, 'home');
mkdirSync(home);
const { XDG_CONFIG_HOME: _, XDG_STATE_HOME: __, XDG_CACHE_HOME: ___, ...inherited } = process.env;
const environment = (more: Readonly<Record<string, string>> = {}) => ({
  ...inherited,
  HOME: home,
  npm_config_offline: 'true',
  AWS_ACCESS_KEY_ID: 'reader',
  AWS_SECRET_ACCESS_KEY: 'secret',
  ...more,
});

async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  more?: Readonly<Record<string, string>>,
): Promise<string> {
  const child = spawn(command, args, { cwd, env: environment(more), stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => {
      output += bytes;
    });
  const [code] = await once(child, 'close');
  expect(code, output).toBe(0);
  return output;
}
const shell = (text: string, cwd: string): Promise<string> => run('bash', [...SHELL, text], cwd);

/** The lines as the module that a user saves them in. */
function script(text: string, cwd: string, more?: Readonly<Record<string, string>>): Promise<string> {
  writeFileSync(path.join(cwd, 'example.mjs'), text);
  return run(process.execPath, ['example.mjs'], cwd, more);
}

/** `sha256sum - FILE` printed one digest twice: what came out is what went in. */
function expectSame(output: string): void {
  const digests = [...output.matchAll(/^([0-9a-f]{64}) {2}/gm)].map(([, digest]) => digest);
  expect(digests).toHaveLength(2);
  expect(digests[0]).toBe(digests[1]);
}

describe('README.md', () => {
  it('protects and loads from the shell', async () => {
    expectSame(await shell(blockWith(readme, 'npx model-guard inspect'), clone()));
  });

  it('protects and loads in ten lines of code', async () => {
    await script(blockWith(readme, 'InferenceSession'), clone());
  });

  it('publishes to a bucket and loads from behind a CDN', async () => {
    const bucket = await new FakeS3().listen();
    try {
      await script(blockWith(readme, 's3Store({'), clone(), {
        S3_ENDPOINT: bucket.endpoint,
        CDN_URL: `${bucket.endpoint}/models`,
      });
    } finally {
      await bucket.close();
    }
  });

  it('binds a model to this machine', async () => {
    expectSame(await shell(blockWith(readme, 'fingerprint --out machine.json'), clone()));
  });

  it('names the addon of a single executable', async () => {
    const folder = clone();
    const executable = path.join(folder, 'node');
    copyFileSync(process.execPath, executable);
    writeFileSync(path.join(folder, 'example.mjs'), blockWith(readme, 'useNativeAddon('));
    await run(executable, ['example.mjs'], folder);
  });

  it('names scripts that are there, and its first steps are steps of .ci/run', () => {
    const { scripts } = JSON.parse(readFileSync(path.join(projectRoot, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    const ci = readFileSync(path.join(projectRoot, '.ci/run'), 'utf8');
    const [first = { text: '' }] = readme;
    for (const line of first.text.trimEnd().split('\n')) expect(ci).toMatch(new RegExp(` ${line}\\b`));
    const commands = blockWith(readme, 'npm run test:full');
    for (const [, name] of commands.matchAll(/npm (?:run )?(test\S*|lint|prebuild)/g))
      expect(Object.keys(scripts)).toContain(name);
    for (const [, file] of commands.matchAll(/(?:tsx|node|^)\s?((?:bench|scripts|\.ci)\/\S+)/gm))
      expect(existsSync(path.join(projectRoot, `${file}`)), file).toBe(true);
  });
});

describe('server/README.md', () => {
  const folder = clone();
  let port: string;
  let server: ChildProcess | undefined;
  const here = (text: string): string => text.replaceAll(`127.0.0.1:${PRINTED_PORT}`, `127.0.0.1:${port}`);
  const steps = serverReadme.filter(({ language }) => language === 'sh').map(({ text }) => text);

  beforeAll(async () => {
    port = await freePort();
    // The first block stays in its terminal for as long as the server runs.
    const [start = ''] = steps;
    expect(start.trim().split('\n')).toHaveLength(1);
    server = spawn('bash', [...SHELL, `exec ${start}`], {
      cwd: folder,
      env: environment({ MODEL_GUARD_PORT: port }),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    await listening(server);
  });
  afterAll(async () => {
    if (server?.pid === undefined || server.exitCode !== null) return;
    const ended = once(server, 'close');
    process.kill(-server.pid, 'SIGTERM');
    await ended;
  });

  it('leads from an empty folder to a model on a licensed machine, each step in a shell of its own', async () => {
    let output = '';
    for (const step of steps.slice(1)) output = await shell(here(step), folder);
    expectSame(output);
    expect(existsSync(path.join(folder, 'guard-data/admin-password.txt'))).toBe(false);
  });

  it('leads on to the code of README.md, on the build machine and on the licensed one', async () => {
    for (const words of ["credentials: { file: 'build.txt' }", "credentials: { file: 'line4.txt' }"])
      await script(here(blockWith(readme, words)), folder);
  });

  it('leaves nothing in a clone that git would add', () => {
    const { status, stdout } = spawnSync(
      'git',
      ['-c', `core.excludesFile=`, `--git-dir=${path.join(folder, '.git')}`, `--work-tree=${folder}`, 'init', '-q'],
      { encoding: 'utf8' },
    );
    expect(status, stdout).toBe(0);
    copyFileSync(path.join(projectRoot, '.gitignore'), path.join(folder, '.gitignore'));
    const listed = spawnSync('git', ['status', '--porcelain', '--untracked-files=all'], { cwd: folder, encoding: 'utf8' });
    const known = ['.gitignore', 'examples', 'package.json'];
    expect(
      listed.stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.slice(3))
        .filter((name) => !known.includes(name)),
    ).toEqual([]);
  });

  it("has an edge that takes the server's URLs, and no others", async () => {
    const file = path.join(folder, 'edge.mjs');
    writeFileSync(file, blockWith(serverReadme, 'export function allows'));
    const { allows } = (await import(pathToFileURL(file).href)) as { allows(asked: string, key: Buffer, now?: number): boolean };
    const key = Buffer.alloc(32, 7);
    const signature = createHmac('sha256', key).update('/big/a-0\u00002000').digest('base64url');
    const asked = `/big/a-0?expires=2000&signature=${signature}`;
    expect(allows(asked, key, 2000)).toBe(true);
    expect(allows(asked, key, 2001)).toBe(false);
    expect(allows(asked.replace('a-0', 'b-0'), key, 2000)).toBe(false);
    expect(allows('/big/a-0', key, 0)).toBe(false);
  });

  it('prints every block of its language for running: templates with names to fill in are text', () => {
    for (const { language, text } of [...readme, ...serverReadme])
      if (language !== 'text') expect(text.replaceAll(/(#|\/\/).*$/gm, ''), text).not.toContain('…');
  });
});

async function freePort(): Promise<string> {
  const probe = createServer();
  await once(probe.listen(0, '127.0.0.1'), 'listening');
  const address = probe.address();
  const closed = once(probe, 'close');
  probe.close();
  await closed;
  return String(typeof address === 'object' && address !== null ? address.port : '');
}

/** Resolves when the server's log says where it listens. */
function listening({ stdout, stderr }: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    for (const stream of [stdout, stderr])
      stream?.on('data', (bytes: Buffer) => {
        output += bytes;
        if (/listening/i.test(output)) resolve();
      });
    stdout?.once('close', () => reject(new Error(output)));
  });
}
