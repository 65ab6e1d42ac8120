// The package in the hands of bundlers, tracers and test runners, as docs/bundlers.md says. Each is installed at one version into a folder
// of its own: none is a dependency of this project.
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const TOOLS = {
  jest: '30.5.2',
  '@vercel/nft': '1.11.5',
  webpack: '5.113.0',
  esbuild: '0.28.2',
  rollup: '4.67.4',
  postject: '1.0.0-alpha.6',
  // Two, since their file handles differ.
  'yarn-4.5': 'npm:@yarnpkg/cli-dist@4.5.0',
  'yarn-4.18': 'npm:@yarnpkg/cli-dist@4.18.1',
};

/** A round trip through a folder, and an error with its code. */
const STORY = `
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'model-guard-story-'));
try {
  fs.writeFileSync(path.join(folder, 'm.onnx'), Buffer.alloc(100_000, 7));
  const machine = DeviceKey.generate(), publisher = SigningKey.generate(), store = fileStore(path.join(folder, 'store'));
  await protect(path.join(folder, 'm.onnx'), { name: 'm', version: '1', recipients: [machine.publicKey], signer: publisher, to: store });
  const model = await load('m@1', { from: store, identities: [machine], verifier: publisher.publicKey });
  if (model.bytes[99_999] !== 7) throw new Error('not what was protected');
  model.dispose();
  const missing = await load('m@2', { from: store, identities: [machine], unsigned: 'accept' }).catch((error) => error);
  if (missing.code !== 'NOT_FOUND') throw missing;
} finally {
  fs.rmSync(folder, { recursive: true });
}`;
const NAMES = '{ DeviceKey, SigningKey, fileStore, load, protect, useNativeAddon }';
const MODULE = `import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import ${NAMES} from '@org/model-guard';`;
const REQUIRES = `const fs = require('node:fs'), os = require('node:os'), path = require('node:path');
const ${NAMES} = require('@org/model-guard');`;

/** `project` has the package installed, from `tarball`; `run` runs a command and ends the script where it fails. */
export function tryBundlers({ project, tarball, temporary, addon, run }) {
  const tools = path.join(temporary, 'tools');
  mkdirSync(tools);
  writeFileSync(path.join(tools, 'package.json'), JSON.stringify({ name: 'tools', private: true }));
  const wanted = Object.entries(TOOLS).map(([name, version]) => `${name}@${version}`);
  run('npm install of the bundlers', 'npm', ['install', '--no-audit', '--no-fund', '--silent', ...wanted], { cwd: tools });
  const tool = (name) => path.join(tools, 'node_modules', name);
  const app = (name, files) => {
    const folder = path.join(temporary, name);
    mkdirSync(path.join(folder, 'node_modules'), { recursive: true });
    for (const scope of ['@org/model-guard', 'zod', 'node-gyp-build']) {
      mkdirSync(path.dirname(path.join(folder, 'node_modules', scope)), { recursive: true });
      cpSync(path.join(project, 'node_modules', scope), path.join(folder, 'node_modules', scope), { recursive: true });
    }
    for (const [file, text] of Object.entries(files)) writeFileSync(path.join(folder, file), text);
    return folder;
  };
  /** Elsewhere, without the folders that the bundle was made from. */
  const runAlone = (title, folder, name) => {
    const alone = path.join(temporary, `${name}-alone`);
    cpSync(folder, alone, { recursive: true });
    run(title, process.execPath, [path.join(alone, 'main.cjs')], { cwd: alone });
  };

  const jest = app('jest', {
    'package.json': JSON.stringify({ private: true, jest: { testEnvironment: 'node', testMatch: ['**/*.spec.js'] } }),
    'guard.spec.js': `${REQUIRES}\ntest('a round trip', async () => {${STORY}\n});\n`,
  });
  run('jest', process.execPath, [path.join(tool('jest'), 'bin/jest.js'), '--no-cache'], { cwd: jest });

  const registry = run('the registry', 'npm', ['config', 'get', 'registry']).trim();
  const env = {
    ...process.env,
    YARN_NPM_REGISTRY_SERVER: registry,
    YARN_UNSAFE_HTTP_WHITELIST: new URL(registry).hostname,
    YARN_ENABLE_TELEMETRY: '0',
    YARN_ENABLE_IMMUTABLE_INSTALLS: 'false',
    YARN_GLOBAL_FOLDER: path.join(temporary, 'yarn'),
    YARN_IGNORE_PATH: '1',
  };
  for (const version of ['yarn-4.5', 'yarn-4.18']) {
    const cwd = path.join(temporary, version);
    mkdirSync(cwd);
    writeFileSync(path.join(cwd, '.yarnrc.yml'), 'nodeLinker: pnp\n');
    writeFileSync(path.join(cwd, 'yarn.lock'), '');
    writeFileSync(
      path.join(cwd, 'package.json'),
      JSON.stringify({ private: true, dependencies: { '@org/model-guard': `file:${tarball}` } }),
    );
    writeFileSync(path.join(cwd, 'main.cjs'), `${REQUIRES}\n(async () => {${STORY}\n})();\n`);
    const yarn = path.join(tool(version), 'bin/yarn.js');
    run(`${version} install, Plug and Play`, process.execPath, [yarn, 'install'], { cwd, env });
    run(`Plug and Play of ${version}`, process.execPath, [yarn, 'node', 'main.cjs'], { cwd, env });
  }

  const traced = app('nft', {
    'main.cjs': `${REQUIRES}\n(async () => {${STORY}\n})();\n`,
    'main.mjs': `${MODULE}\n${STORY}\n`,
    'trace.mjs': `import { cpSync } from 'node:fs';
import { nodeFileTrace } from ${JSON.stringify(path.join(tool('@vercel/nft'), 'out/index.js'))};
const { fileList } = await nodeFileTrace([process.argv[2]], { base: process.cwd() });
if (![...fileList].some((file) => file.endsWith('.node'))) throw new Error('the addon is not among the files');
for (const file of fileList) cpSync(file, process.argv[3] + '/' + file, { recursive: true });\n`,
  });
  for (const entry of ['main.cjs', 'main.mjs']) {
    const copy = path.join(temporary, `traced-${entry}`);
    run(`@vercel/nft, ${entry}`, process.execPath, ['trace.mjs', entry, copy], { cwd: traced });
    run(`what it copied, ${entry}`, process.execPath, [entry], { cwd: copy });
  }

  const bundled = app('bundles', {
    'external.mjs': `${MODULE}\n(async () => {${STORY}\n})();\n`,
    'whole.mjs': `${MODULE}\nuseNativeAddon(path.join(path.dirname(process.argv[1] ?? process.execPath), 'model_guard.node'));\n(async () => {${STORY}\n})();\n`,
  });
  const modules = (folder) => {
    symlinkSync(path.join(bundled, 'node_modules'), path.join(folder, 'node_modules'));
    cpSync(addon, path.join(folder, 'model_guard.node'));
  };
  const out = (name) => {
    const folder = path.join(temporary, name);
    mkdirSync(folder);
    return folder;
  };
  const esbuild = (...flags) =>
    run(
      `esbuild ${flags.slice(1).join(' ')}`,
      path.join(tool('esbuild'), 'bin/esbuild'),
      ['--bundle', '--platform=node', '--log-level=error', ...flags],
      { cwd: bundled },
    );
  for (const [format, extension] of [
    ['cjs', 'cjs'],
    ['esm', 'mjs'],
  ]) {
    const folder = out(`esbuild-${format}`);
    modules(folder);
    esbuild('external.mjs', `--format=${format}`, '--external:@org/model-guard', `--outfile=${folder}/external.${extension}`);
    run(`its bundle, ${format}, the package external`, process.execPath, [`external.${extension}`], { cwd: folder });
  }
  const whole = out('esbuild-whole');
  esbuild('whole.mjs', '--format=cjs', `--outfile=${whole}/main.cjs`);
  cpSync(addon, path.join(whole, 'model_guard.node'));
  runAlone('its bundle, cjs, the package within', whole, 'esbuild-whole');

  writeFileSync(
    path.join(bundled, 'webpack.cjs'),
    `const webpack = require(${JSON.stringify(tool('webpack'))});
const make = (entry, folder, externals) => new Promise((done, failed) =>
  webpack({ mode: 'production', target: 'node', entry: './' + entry, externals, output: { path: folder, filename: 'main.cjs' } }, (error, stats) =>
    error || stats.hasErrors() ? failed(error ?? new Error(stats.toString('errors-only'))) : done()));
make('external.mjs', process.argv[2], { '@org/model-guard': 'commonjs @org/model-guard' })
  .catch((error) => { console.error(error); process.exitCode = 1; });\n`,
  );
  const webpackExternal = out('webpack-external');
  run('webpack', process.execPath, ['webpack.cjs', webpackExternal], { cwd: bundled });
  modules(webpackExternal);
  run('its bundle, the package external', process.execPath, ['main.cjs'], { cwd: webpackExternal });

  const rollup = out('rollup');
  modules(rollup);
  for (const [format, extension] of [
    ['es', 'mjs'],
    ['cjs', 'cjs'],
  ]) {
    const target = path.join(rollup, `main.${extension}`);
    run(
      `rollup, ${format}`,
      process.execPath,
      [
        path.join(tool('rollup'), 'dist/bin/rollup'),
        'external.mjs',
        '--silent',
        '--external',
        '@org/model-guard',
        '--format',
        format,
        '--file',
        target,
      ],
      { cwd: bundled },
    );
    run(`its bundle, ${format}`, process.execPath, [target], { cwd: rollup });
  }

  const single = out('single');
  cpSync(path.join(whole, 'main.cjs'), path.join(single, 'main.cjs'));
  writeFileSync(
    path.join(single, 'sea.json'),
    JSON.stringify({ main: 'main.cjs', output: 'main.blob', disableExperimentalSEAWarning: true }),
  );
  run('a single executable: its blob', process.execPath, ['--experimental-sea-config', 'sea.json'], { cwd: single });
  cpSync(process.execPath, path.join(single, 'program'));
  const fuse = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
  run(
    'a single executable: put together',
    process.execPath,
    [path.join(tool('postject'), 'dist/cli.js'), 'program', 'NODE_SEA_BLOB', 'main.blob', '--sentinel-fuse', fuse],
    { cwd: single },
  );
  cpSync(addon, path.join(single, 'model_guard.node'));
  run('a single executable', path.join(single, 'program'), [], { cwd: single });
}
