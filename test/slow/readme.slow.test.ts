/**
 * The blocks of README.md and server/README.md, run as they are printed in a folder like a fresh clone. A name that no block defines, a
 * file that an earlier step does not leave, or a flag that is gone fails here before a new user meets it. Only the port of the server is
 * another than the printed one, and its limit of log-ins.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FakeS3 } from '../support/fake-s3.js';
import { blockWith, clone, readme, serverReadme } from '../support/readme-blocks.js';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('readme');
const SHELL = ['-euo', 'pipefail', '-c'];
const PRINTED_PORT = '8080';
const PRINTED_HOST = 'guard.example.com';
const TLS_PORT = '8443';
/** The same with a name and an address of this machine. */
const onThisMachine = (text: string): string =>
  text.replaceAll(PRINTED_HOST, 'localhost').replace('--host 0.0.0.0', '--host 127.0.0.1');

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
/** As at a terminal, where a command that fails keeps none of the next ones from running. */
const paste = (text: string, cwd: string): Promise<string> => run('bash', ['-c', `${text}\ntrue`], cwd);

/** The lines as the module that a user saves them in. */
function script(text: string, cwd: string, more?: Readonly<Record<string, string>>): Promise<string> {
  writeFileSync(path.join(cwd, 'example.mjs'), text);
  return run(process.execPath, ['example.mjs'], cwd, more);
}

/** `sha256sum` printed one digest each time: what came out is what went in. */
function expectSame(output: string): void {
  const digests = [...output.matchAll(/^([0-9a-f]{64}) {2}/gm)].map(([, digest]) => digest);
  expect(digests.length).toBeGreaterThanOrEqual(2);
  expect(new Set(digests).size).toBe(1);
}

describe('README.md', () => {
  it('protects and loads from the shell', async () => {
    expectSame(await shell(blockWith(readme, 'npx model-guard inspect'), clone(base)));
  });

  it('protects and loads in ten lines of code', async () => {
    expect(await script(blockWith(readme, 'InferenceSession'), clone(base))).toContain('outputs: probabilities');
  });

  it('publishes to a bucket and loads from behind a CDN', async () => {
    const bucket = await new FakeS3().listen();
    try {
      await script(blockWith(readme, 's3Store({'), clone(base), {
        S3_ENDPOINT: bucket.endpoint,
        CDN_URL: `${bucket.endpoint}/models`,
      });
    } finally {
      await bucket.close();
    }
  });

  it('binds a model to this machine', async () => {
    expectSame(await shell(blockWith(readme, 'fingerprint --out machine.json'), clone(base)));
  });

  it('names the addon of a single executable', async () => {
    const folder = clone(base);
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
  const folder = clone(base);
  let port: string;
  let server: ChildProcess | undefined;
  const here = (text: string): string => text.replaceAll(`127.0.0.1:${PRINTED_PORT}`, `127.0.0.1:${port}`);
  const blocks = serverReadme.filter(({ language }) => language === 'sh').map(({ text }) => text);
  /** Those of the walk, in its order: the ones with a name on the network are of production. */
  const steps = blocks.filter((text) => !text.includes(PRINTED_HOST));
  const stepOf = (words: string): string => here(blockWith(serverReadme, words));
  const LOAD = 'load defects --guard';

  beforeAll(async () => {
    port = await freePort();
    // The first block stays in its terminal for as long as the server runs.
    const [start = ''] = steps;
    expect(start.trim().split('\n')).toHaveLength(1);
    server = startServer(start, folder, port);
    await listening(server);
  });
  afterAll(() => stop(server));

  it('leads from an empty folder to a model on a licensed machine, each step in a shell of its own', async () => {
    const outputs = new Map<string, string>();
    for (const step of steps.slice(1)) outputs.set(here(step), await shell(here(step), folder));
    expectSame(`${outputs.get(stepOf(LOAD))}`);
    expect(outputs.get(stepOf('model-guard unlock'))).toContain('bearing-faults/model.onnx');
    expect(outputs.get(stepOf('audit-log verify'))).toContain('Nothing was changed');
    expect(existsSync(path.join(folder, 'guard-data/admin-password.txt'))).toBe(false);
  });

  it('leaves every password, key and entitlement as it was when each step is pasted again, and loads', async () => {
    const kept = readdirSync(folder).filter((name) => /\.(txt|key)$/.test(name) && name !== 'version.txt');
    expect(kept).toEqual(expect.arrayContaining(['admin.txt', 'new-password.txt', 'publisher.txt', 'enrolled.txt']));
    const read = () => kept.map((name) => [name, readFileSync(path.join(folder, name), 'utf8')]);
    const before = read();
    for (const step of steps.slice(1)) await paste(here(step), folder);
    expect(read()).toEqual(before);
    expectSame(await shell(stepOf(LOAD), folder));
    await shell('npx model-guard users list', folder);
    const entitlements = JSON.parse(await shell('npx model-guard entitlements list --json', folder));
    expect(entitlements.map(({ name }: { name: string }) => name).sort()).toEqual(['defects', 'images.tar.mguard']);
  });

  it('offers TLS, and logs in from a client that knows its certificate', async () => {
    const [place, tlsPort] = [clone(base), await freePort()];
    const [prepare = '', start = ''] = blockWith(serverReadme, 'openssl req').trimEnd().split('\n').map(onThisMachine);
    const login = onThisMachine(blockWith(serverReadme, '--ca tls.crt')).replace(TLS_PORT, tlsPort);
    await shell(prepare, place);
    const secure = startServer(start.replace(TLS_PORT, tlsPort), place, tlsPort);
    try {
      await listening(secure);
      await shell(`npx model-guard-server key --data ./guard-data > server-key.txt`, place);
      const password = readFileSync(path.join(place, 'guard-data/admin-password.txt'), 'utf8');
      writeFileSync(path.join(place, 'admin.txt'), `admin@localhost\n${password}`, { mode: 0o600 });
      expect(await shell(login.replace('login ', 'login --profile tls.json '), place)).toContain('Logged in to https://');
      const stranger = login.replace(' --ca tls.crt', '').replace('login ', 'login --profile stranger.json ');
      await expect(shell(stranger, place)).rejects.toThrow('certificate');
    } finally {
      await stop(secure);
    }
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
    const known = ['.gitignore', '.npmrc', 'dist', 'examples', 'package.json', 'server'];
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

/** A server that stays in its terminal, at another port than the printed one. */
function startServer(command: string, cwd: string, at: string): ChildProcess {
  return spawn('bash', [...SHELL, command], {
    cwd,
    // The steps follow each other faster than a reader pastes them.
    env: environment({ MODEL_GUARD_PORT: at, MODEL_GUARD_LOGIN_LIMIT: '1000' }),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
}

async function stop(server: ChildProcess | undefined): Promise<void> {
  if (server?.pid === undefined || server.exitCode !== null) return;
  const ended = once(server, 'close');
  process.kill(-server.pid, 'SIGTERM');
  await ended;
}

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
