/**
 * Which addon a process loads. An installation without one still imports, and says at first use what to do. If the rest fails, the
 * environment replaces the code that makes every check.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'tsup';
import { beforeAll, describe, expect, it } from 'vitest';
import { useNativeAddon } from '../../src/native/addon.js';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const PACKAGE = '@org/model-guard';
const VARIABLE = '@ORG/MODEL_GUARD_PREBUILD';
const base = temporaryFolder('no-addon');
/** The addon of this tree, as node-gyp writes it. */
const built = path.join(projectRoot, 'build/Release/model_guard.node');

beforeAll(async () => {
  // One file of the sources as they are: a child that compiles them starts twenty times slower.
  await build({
    config: false,
    silent: true,
    entry: { index: path.join(projectRoot, 'src/index.ts') },
    format: ['esm'],
    target: 'node20',
    outDir: path.join(base, 'dist'),
    dts: false,
  });
});

function install(folder: string, name = PACKAGE): string {
  const root = path.join(base, folder);
  mkdirSync(root);
  cpSync(path.join(base, 'dist'), path.join(root, 'dist'), { recursive: true });
  symlinkSync(path.join(projectRoot, 'node_modules'), path.join(root, 'node_modules'));
  writeFileSync(path.join(root, 'package.json'), JSON.stringify({ name, version: '0.0.0', type: 'module' }));
  return root;
}

/** A file in a new folder; returns its path. */
function put(file: string, bytes: string | { readonly copyOf: string }): string {
  mkdirSync(path.dirname(file), { recursive: true });
  if (typeof bytes === 'string') writeFileSync(file, bytes);
  else cpSync(bytes.copyOf, file);
  return file;
}

const native = (root: string): string => path.join(root, 'build/Release/model_guard.node');
const prebuild = (root: string): string => path.join(root, 'prebuilds', `${process.platform}-${process.arch}`, 'node.napi.node');
/** Not an addon. An attempt to load it would be another error than the one for its place. */
const FOREIGN = 'not an addon';

interface Result {
  readonly code?: string;
  readonly message?: string;
  readonly loaded?: boolean;
}

/** Runs `lines` and then the first use. */
function firstUse(root: string, { lines = '', env = {} }: { lines?: string; env?: Record<string, string> } = {}): Result {
  const script = `
    import { MasterKey, useNativeAddon } from './dist/index.js';
    try {
      ${lines}
      MasterKey.generate();
      console.log(JSON.stringify({ loaded: true }));
    } catch (error) { console.log(JSON.stringify({ code: error.code, message: error.message })); }`;
  const node = ['--input-type=module', '-e', script];
  const { stdout, stderr } = spawnSync(process.execPath, node, { cwd: root, env: { ...process.env, ...env }, encoding: 'utf8' });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as Result;
}

describe('without the addon', () => {
  it('the first use says how to get it', () => {
    expect(firstUse(install('missing'))).toEqual({
      code: 'NATIVE_UNAVAILABLE',
      message: expect.stringMatching(/npm rebuild @org\/model-guard|runs on Linux/),
    });
  });

  it('inside a bundle, the first use says that the package must stay external', () => {
    expect(firstUse(install('bundled', 'some-app'))).toEqual({
      code: 'NATIVE_UNAVAILABLE',
      message: expect.stringContaining('external to your bundler'),
    });
  });
});

describe('an addon that does not load', () => {
  const start = (root: string, options: readonly string[]): string => {
    const script = `import { MasterKey } from './dist/index.js';
      try { MasterKey.generate(); } catch (error) { console.log(error.code, error.message); }`;
    const node = [...options, '--input-type=module', '-e', script];
    return spawnSync(process.execPath, node, { cwd: root, encoding: 'utf8' }).stdout;
  };

  it('is explained where Node runs with --no-addons', () => {
    const root = install('no-addons');
    put(native(root), { copyOf: built });
    expect(start(root, ['--no-addons'])).toMatch(/^NATIVE_UNAVAILABLE .*without --no-addons/);
  });

  it('is explained where it is for another system', () => {
    const root = install('damaged');
    put(native(root), 'no ELF file at all, and longer than the header of one would be, which the loader reads first of all');
    expect(start(root, [])).toMatch(/^NATIVE_UNAVAILABLE .*another system than this one, or is damaged/);
  });

  // The system's loader ends the process over such a file.
  it.each([0, 0.01, 0.5, 0.99])('is explained where it was cut off, at %d of its bytes', (part) => {
    const root = install(`cut-${part}`);
    const bytes = readFileSync(built);
    writeFileSync(put(native(root), ''), bytes.subarray(0, part * bytes.length));
    expect(start(root, [])).toMatch(/^NATIVE_UNAVAILABLE .*is not whole.*Install the package again/);
  });

  it('is explained where it is for another processor', () => {
    const root = install('processor');
    const bytes = readFileSync(built);
    bytes.writeUInt16LE(process.arch === 'x64' ? 183 : 62, 18);
    writeFileSync(put(native(root), ''), bytes);
    expect(start(root, [])).toMatch(/^NATIVE_UNAVAILABLE .*for another processor.*do not copy node_modules/);
  });

  it('is explained where the system is older than the one that it was built for', () => {
    const root = install('newer-glibc');
    const bytes = readFileSync(built);
    const name = bytes.indexOf('GLIBC_2.');
    bytes.write('GLIBC_9.', name);
    writeFileSync(put(native(root), ''), bytes);
    expect(start(root, [])).toMatch(/^NATIVE_UNAVAILABLE .*another C library than this system's/);
  });

  it('is explained where the package brings those of other systems only', () => {
    const root = install('foreign');
    put(path.join(root, 'prebuilds/sunos-sparc/node.napi.node'), FOREIGN);
    expect(start(root, [])).toMatch(/^NATIVE_UNAVAILABLE .*sunos-sparc\/node\.napi\.node only/);
  });
});

describe("the package's own addon", () => {
  it.each([
    ['build/Release', native],
    ['prebuilds', prebuild],
  ])('is loaded from %s', (folder, place) => {
    const root = install(`own-${path.basename(folder)}`);
    put(place(root), { copyOf: built });
    expect(firstUse(root)).toEqual({ loaded: true });
  });

  it('is loaded where a link leads to the package', () => {
    const root = install('linked');
    put(native(root), { copyOf: built });
    const link = path.join(base, 'link-to-linked');
    symlinkSync(root, link);
    expect(firstUse(link)).toEqual({ loaded: true });
  });
});

describe('another addon', () => {
  it.each([
    ['build/Release', native],
    ['prebuilds', prebuild],
  ])('is refused where the variable leads to its %s, and both are named', (folder, place) => {
    const root = install(`steered-${path.basename(folder)}`);
    put(native(root), { copyOf: built });
    const elsewhere = path.join(base, `elsewhere-${path.basename(folder)}`);
    const file = put(place(elsewhere), FOREIGN);
    const { code, message } = firstUse(root, { env: { [VARIABLE]: elsewhere } });
    expect(code).toBe('NATIVE_UNTRUSTED');
    for (const named of [VARIABLE, elsewhere, file]) expect(message).toContain(named);
  });

  it('is refused beside the folders that hold the own one, whose names begin alike', () => {
    const root = install('alike');
    put(native(root), { copyOf: built });
    const file = put(path.join(root, 'prebuilds-of-others/build/Release/x.node'), FOREIGN);
    const { code, message } = firstUse(root, { env: { [VARIABLE]: path.join(root, 'prebuilds-of-others') } });
    expect({ code, message }).toEqual({ code: 'NATIVE_UNTRUSTED', message: expect.stringContaining(file) });
  });

  it('is refused as a debug build', () => {
    const root = install('debug');
    const file = put(path.join(root, 'build/Debug/model_guard.node'), FOREIGN);
    expect(firstUse(root)).toEqual({ code: 'NATIVE_UNTRUSTED', message: expect.stringContaining(file) });
  });

  it('is refused beside the executable, also where PREBUILDS_ONLY passes over the own build', () => {
    const root = install('beside');
    put(native(root), { copyOf: built });
    const file = put(prebuild(path.join(base, 'program')), FOREIGN);
    const lines = `process.execPath = ${JSON.stringify(path.join(base, 'program/node'))};`;
    expect(firstUse(root, { lines })).toEqual({ loaded: true });
    expect(firstUse(root, { lines, env: { PREBUILDS_ONLY: '1' } })).toEqual({
      code: 'NATIVE_UNTRUSTED',
      message: expect.stringContaining(file),
    });
  });

  it('is refused where the own folder has a link to it', () => {
    const root = install('planted');
    mkdirSync(path.dirname(native(root)), { recursive: true });
    const file = put(path.join(base, 'planted-elsewhere/model_guard.node'), FOREIGN);
    symlinkSync(file, native(root));
    expect(firstUse(root)).toEqual({ code: 'NATIVE_UNTRUSTED', message: expect.stringContaining(file) });
  });
});

describe('two copies of the package in a process, each with its own addon', () => {
  /** Of one copy, and then of the other. A copy of another version lays out its objects in another way. */
  const program = (one: string, other: string, lines: string): Result => {
    for (const root of [one, other]) put(native(root), { copyOf: built });
    const index = JSON.stringify(path.join(other, 'dist/index.js'));
    return firstUse(one, { lines: `const [own, other] = [await import('./dist/index.js'), await import(${index})]; ${lines}` });
  };
  const seal = `encrypt(new Uint8Array(3), { name: 'm', version: '1', recipients: [key] })`;

  it("refuse each other's keys", () => {
    const lines = `const key = other.MasterKey.generate(); await own.${seal};`;
    expect(program(install('strange-key-one'), install('strange-key-other'), lines)).toEqual({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('made by another copy of the package in this process'),
    });
  });

  it("take each other's public keys and containers", () => {
    const lines = `
      const device = own.DeviceKey.generate();
      const key = device.publicKey;
      const sealed = await other.${seal};
      (await own.decrypt(sealed, { identities: [device], unsigned: 'accept' })).dispose();`;
    expect(program(install('public-key-one'), install('public-key-other'), lines)).toEqual({ loaded: true });
  });
});

describe('useNativeAddon', () => {
  const use = (file: string): string => `useNativeAddon(${JSON.stringify(file)});`;

  it('names the addon of a bundle, whatever the variable says', () => {
    const root = install('bundle-with-addon', 'some-app');
    const file = put(path.join(root, 'addons/model_guard.node'), { copyOf: built });
    expect(firstUse(root, { lines: use(file), env: { [VARIABLE]: path.join(base, 'nowhere') } })).toEqual({ loaded: true });
  });

  it('says where nothing is', () => {
    const missing = path.join(base, 'missing.node');
    expect(firstUse(install('named-missing', 'some-app'), { lines: use(missing) })).toEqual({
      code: 'NATIVE_UNAVAILABLE',
      message: expect.stringContaining(missing),
    });
  });

  it('is refused after the first use', () => {
    const root = install('late');
    put(native(root), { copyOf: built });
    expect(firstUse(root, { lines: `MasterKey.generate(); ${use(built)}` })).toMatchObject({ code: 'IN_USE' });
  });

  it.each(['model_guard.node', './model_guard.node', '/etc/passwd', '', undefined])(
    'takes an absolute path to a .node file only, not %j',
    (file) => {
      expect(() => useNativeAddon(file as string)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
    },
  );

  it('holds for every copy of the package in the process', () => {
    const [one, other] = [install('copy-one', 'app-one'), install('copy-other', 'app-other')];
    const lines = `
      ${use(built)}
      const other = await import(${JSON.stringify(path.join(other, 'dist/index.js'))});
      const { encrypt } = await import('./dist/index.js');
      await encrypt(new Uint8Array(3), { name: 'm', version: '1', recipients: [other.MasterKey.generate()] });`;
    expect(firstUse(one, { lines })).toEqual({ loaded: true });
  });
});
