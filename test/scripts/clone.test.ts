/**
 * A clone for the person who works in it. Without this `npx model-guard` compiles and builds the clone again inside npm's cache, or runs a
 * stranger's package of that name; a build takes dist/ away from programs that run; and scripts before `npm ci` end with a stack.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('clone');
const home = path.join(base, 'home');
mkdirSync(home);

interface Ended {
  readonly code: number;
  readonly output: string;
}

/** As in a shell of a new user: nothing of npm is set, and asking the registry for a package would be an error of its own. */
function run(cwd: string, command: string, ...args: readonly string[]): Promise<Ended> {
  const plain = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const PATH = process.env.PATH?.replaceAll(/[^:]*node_modules[^:]*:/g, '');
  const env = { ...plain, PATH, HOME: home, npm_config_registry: 'http://127.0.0.1:1', npm_config_fetch_retries: '0' };
  return new Promise((resolve) =>
    execFile(command, args, { cwd, env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
    ),
  );
}

/** The files of the project that npm and the scripts read. */
function clone(): string {
  const folder = mkdtempSync(path.join(base, 'clone-'));
  for (const file of ['.npmrc', 'package.json']) copyFileSync(path.join(projectRoot, file), path.join(folder, file));
  for (const name of ['bin', 'scripts', 'server/bin', 'server/package.json'])
    cpSync(path.join(projectRoot, name), path.join(folder, name), { recursive: true });
  return folder;
}

describe('npx in a clone', () => {
  it('starts the command that npm ci has linked, and installs nothing', async () => {
    const folder = clone();
    mkdirSync(path.join(folder, 'node_modules'));
    for (const name of ['.bin', '@org'])
      symlinkSync(path.join(projectRoot, 'node_modules', name), path.join(folder, 'node_modules', name));
    const { version } = JSON.parse(readFileSync(path.join(projectRoot, 'package.json'), 'utf8')) as { version: string };
    expect(await run(folder, 'npx', 'model-guard', '--version')).toEqual({ code: 0, output: `${version}\n` });
    expect(existsSync(path.join(home, '.npm/_npx'))).toBe(false);
  });

  it.each(['model-guard', 'model-guard-server'])('fetches no stranger’s %s before npm ci', async (command) => {
    const { code, output } = await run(clone(), 'npx', command, '--version');
    expect(code, output).toBe(127);
    expect(output).toContain(`${command}: not found`);
    expect(existsSync(path.join(home, '.npm/_npx'))).toBe(false);
  });
});

describe('before npm ci', () => {
  const bare = clone();
  const { scripts } = JSON.parse(readFileSync(path.join(bare, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
  /** Steps of npm's own, steps before others, and what needs a compiler alone. */
  const others = /^(install|prepare|prepack|pre(?!build$).*|test:(native|sanitize|fuzz))$/;

  it.each(Object.keys(scripts).filter((name) => !others.test(name)))('npm run %s names it', async (name) => {
    const { code, output } = await run(bare, 'sh', '-c', scripts[`pre${name}`] ?? `${scripts[name]}`);
    expect(code).not.toBe(0);
    expect(output).toContain('Run `npm ci`');
    expect(output).not.toMatch(/^ +at /m);
  });

  it.each(['bin/model-guard.js', 'server/bin/model-guard-server.js'])('%s names it', async (file) => {
    const { code, output } = await run(bare, process.execPath, file, '--help');
    expect(code).toBe(1);
    expect(output).toContain('run `npm ci`');
    expect(output).not.toMatch(/^ +at /m);
  });
});

describe('a build', () => {
  /** A package whose tsup runs the lines of `script` with the output folder in $out, and which has a build from before. */
  function packageWith(script: string): { folder: string; dist: () => Record<string, string> } {
    const folder = mkdtempSync(path.join(base, 'package-'));
    for (const name of ['bin', 'dist']) mkdirSync(path.join(folder, name));
    writeFileSync(path.join(folder, 'bin/tsup'), `#!/bin/sh\nset -e\nout=$2\n${script}\n`);
    chmodSync(path.join(folder, 'bin/tsup'), 0o755);
    for (const file of ['cli.js', 'chunk-AAAAAAAA.js', 'index.d.ts']) writeFileSync(path.join(folder, 'dist', file), 'old');
    const dist = () =>
      Object.fromEntries(
        readdirSync(path.join(folder, 'dist')).map((file) => [file, readFileSync(path.join(folder, 'dist', file), 'utf8')]),
      );
    return { folder, dist };
  }
  const start = (folder: string) =>
    spawn(process.execPath, [path.join(projectRoot, 'scripts/build.mjs')], {
      cwd: folder,
      env: { ...process.env, PATH: `${path.join(folder, 'bin')}:${process.env.PATH}` },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
  const OLD = { 'chunk-AAAAAAAA.js': 'old', 'cli.js': 'old', 'index.d.ts': 'old' };

  it('leaves the build before it in place until it is done, and nothing of it afterwards', async () => {
    const { folder, dist } = packageWith('printf new >"$out/cli.js"; printf new >"$out/chunk-BBBBBBBB.js"; echo made; read go');
    const building = start(folder);
    await once(building.stdout, 'data');
    expect(dist()).toEqual(OLD);
    building.stdin.end('go\n');
    expect(await once(building, 'close')).toEqual([0, null]);
    expect(dist()).toEqual({ 'chunk-BBBBBBBB.js': 'new', 'cli.js': 'new' });
    expect(readdirSync(folder).sort()).toEqual(['bin', 'dist']);
  });

  it('changes nothing where it fails', async () => {
    const { folder, dist } = packageWith('printf new >"$out/cli.js"; exit 3');
    expect(await once(start(folder), 'close')).toEqual([3, null]);
    expect(dist()).toEqual(OLD);
    expect(readdirSync(folder).sort()).toEqual(['bin', 'dist']);
  });

  it('changes nothing where it is interrupted', async () => {
    // From within the build: this may be before the script that has started it goes on.
    const { folder, dist } = packageWith('printf new >"$out/cli.js"; kill -TERM $PPID; read go');
    expect(await once(start(folder), 'close')).toEqual([1, null]);
    expect(dist()).toEqual(OLD);
    expect(readdirSync(folder).sort()).toEqual(['bin', 'dist']);
  });
});

describe('git in a clone', () => {
  const folder = mkdtempSync(path.join(base, 'git-'));
  const git = (...args: readonly string[]) => run(folder, 'git', '-c', 'core.excludesFile=', ...args);
  const named = ['README.md', 'server/README.md', 'native/salts/README.md'].flatMap((file) =>
    [
      ...readFileSync(path.join(projectRoot, file), 'utf8').matchAll(
        /(?:--(?:out|profile|store|data)|[^-=]>) (?:\.\/)?([a-z][\w.-]+)/g,
      ),
    ].map(([, name]) => `${name}`),
  );

  it('ignores every file that a command of the READMEs makes', async () => {
    await git('init', '-q');
    copyFileSync(path.join(projectRoot, '.gitignore'), path.join(folder, '.gitignore'));
    const made = [...new Set([...named, 'defects.onnx', 'example.mjs', 'op.json', 'audit.jsonl', 'staging'])];
    expect(made).toEqual(
      expect.arrayContaining(['machine.json', 'line4.key', 'model_guard_cdn_key', 'net.mguard', 'guard-data']),
    );
    // A folder or a file: git tells by what lies in it.
    const { output } = await git('check-ignore', '--no-index', ...made.flatMap((name) => [name, `${name}/x`]));
    const ignored = new Set(
      output
        .trim()
        .split('\n')
        .map((name) => name.replace(/\/x$/, '')),
    );
    expect(made.filter((name) => !ignored.has(name))).toEqual([]);
  });

  it('sees what belongs to the project', async () => {
    const { output } = await git(
      'check-ignore',
      '--no-index',
      'biome.json',
      'package.json',
      'package-lock.json',
      'tsconfig.json',
      'CMakeLists.txt',
      'test/x.json',
      'test/x.mjs',
    );
    expect(output).toBe('');
  });
});
