// Packs the package, installs the tarball in an empty project as a stranger would, and uses it there: ESM, CommonJS, types, the
// command. Also publint and attw on the tarball.
//   npm run test:package                     with a binary made for this machine
//   npm run test:package -- --prebuilds      with those in prebuilds/, which scripts/prebuild/debian11.sh has made; in Debian 11 too, as root
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { tryBundlers } from './package/bundlers.mjs';
import { runStoryOnFipsHost } from './package/fips-host.mjs';
import { installRuntimes, tellStories } from './package/runtimes.mjs';
import { tryDrivers } from './package/sqlite.mjs';
import { runStoryInDebian11 } from './package/systems.mjs';

// npm hands the settings of this clone on to its scripts; a stranger's npx does not have this one.
delete process.env.npm_config_package;

const { prebuilds } = parseArgs({ options: { prebuilds: { type: 'boolean', default: false } } }).values;
const root = fileURLToPath(new URL('..', import.meta.url));
const temporary = mkdtempSync(path.join(tmpdir(), 'model-guard-package-'));
const [sources, project, cache] = ['sources', 'project', 'cache'].map((name) => path.join(temporary, name));

/** Runs a command; ends the script where it fails. */
function run(title, command, args, options = {}) {
  const done = spawnSync(command, args, { cwd: project, encoding: 'utf8', ...options });
  if (done.status !== 0) {
    console.error(`not ok: ${title}\n${done.stdout}${done.stderr}`);
    rmSync(temporary, { recursive: true, force: true });
    process.exit(1);
  }
  console.log(`ok: ${title}`);
  return done.stdout;
}
const bin = (name) => path.join(root, 'node_modules/.bin', name);

// In this clone, so that a copy has it already: nothing but its source is asked for a second time.
if (process.platform === 'linux' && !prebuilds)
  run("the prebuild's OpenSSL", path.join(root, 'scripts/crypto/build.sh'), [`linux-${process.arch}`], { cwd: root });
// Packed from a copy: making the binary empties build/, where a developer's own lies.
const unwantedHere = [
  'node_modules',
  'test/model-runtimes/node_modules',
  'build',
  'dist',
  '.git',
  '.debian11',
  ...(prebuilds ? [] : ['prebuilds']),
];
const skipped = new Set(unwantedHere.map((name) => path.join(root, name)));
cpSync(root, sources, { recursive: true, filter: (file) => !skipped.has(file) });
mkdirSync(project);
symlinkSync(path.join(root, 'node_modules'), path.join(sources, 'node_modules'));

if (prebuilds) run('dist/', process.execPath, ['scripts/prepare.mjs'], { cwd: sources });
const pack = ['pack', '--json', '--silent', '--pack-destination', project, ...(prebuilds ? ['--ignore-scripts'] : [])];
// The build's own lines come before the JSON on the same output.
const output = run('npm pack', 'npm', pack, { cwd: sources });
const packed = JSON.parse(output.slice(output.search(/^\[\s*\{/m)));
const tarball = path.join(project, packed[0].filename);
const files = packed[0].files.map((file) => file.path);
for (const unwanted of ['test/', 'build/', 'examples/', 'src/']) {
  if (files.some((file) => file.startsWith(unwanted))) throw new Error(`the package ships ${unwanted}`);
}
// dist/ is not minified: its own lines stand in a stack, and maps would double the download.
if (files.some((file) => /^dist\/.*\.map$/.test(file))) throw new Error('the package ships source maps');
const addon = files.find((file) => file.startsWith(`prebuilds/${process.platform}-${process.arch}/`) && file.endsWith('.node'));
if (addon === undefined) throw new Error('the package ships no binary for this platform');
console.log(`ok: ${files.length} files, ${(packed[0].size / 1024).toFixed(0)} KiB packed`);

run('publint', bin('publint'), ['run', tarball, '--strict'], { cwd: root });
run('attw (node16, bundler)', bin('attw'), [tarball, '--profile', 'node16'], { cwd: root });

writeFileSync(path.join(project, 'package.json'), JSON.stringify({ name: 'stranger', private: true }));
run('npm install in an empty project', 'npm', ['install', '--no-audit', '--no-fund', '--cache', cache, tarball]);
if (existsSync(path.join(project, 'node_modules/@org/model-guard/build')))
  throw new Error('the install compiled although a binary fits');

const story = `
const key = MasterKey.generate();
const store = memoryStore();
const sealed = await encrypt(new TextEncoder().encode('weights'), { name: 'm', version: '1', recipients: [key] });
const model = await decrypt(sealed, { identities: [key], unsigned: 'accept' });
if (new TextDecoder().decode(model.bytes) !== 'weights') throw new Error('not what was encrypted');
model.dispose();
if (!store) throw new Error('no store');
const keyString = await legacy.LegacyKey.fromKeyString({ text: 'k' });
const artifact = await legacy.encrypt(new Uint8Array(3), { key: keyString });
await migrate(artifact, { key: keyString, name: 'm', version: '1', recipients: [key], to: store });
const error = await legacy.decrypt(artifact.slice(1), { key: keyString }).catch((caught) => caught);
if (!(error instanceof ModelGuardError)) throw new Error('the entries have a class of error each');
`;
const names = '{ MasterKey, ModelGuardError, decrypt, encrypt, memoryStore, migrate }';
writeFileSync(
  path.join(project, 'esm.mjs'),
  `import ${names} from '@org/model-guard';\nimport * as legacy from '@org/model-guard/legacy';\n${story}`,
);
writeFileSync(
  path.join(project, 'common.cjs'),
  `const ${names} = require('@org/model-guard');\nconst legacy = require('@org/model-guard/legacy');\n(async () => {${story}})();`,
);
writeFileSync(
  path.join(project, 'both.mjs'),
  `import { createRequire } from 'node:module';
import * as esm from '@org/model-guard';
const require = createRequire(import.meta.url);
const cjs = require('@org/model-guard');
const key = cjs.MasterKey.generate();
const sealed = await esm.encrypt(new Uint8Array(3), { name: 'm', version: '1', recipients: [key] });
(await cjs.decrypt(sealed, { identities: [key], unsigned: 'accept' })).dispose();
const legacy = require('@org/model-guard/legacy');
const old = await legacy.LegacyKey.fromKeyString({ text: 'k' });
const artifact = await legacy.encrypt(new Uint8Array(3), { key: old });
await esm.migrate(artifact, { key: old, name: 'm', version: '1', recipients: [key], to: cjs.memoryStore() });`,
);
run('import', process.execPath, ['esm.mjs']);
run('require', process.execPath, ['common.cjs']);
run('keys pass between import and require', process.execPath, ['both.mjs']);

// The environment leads to something else: refused. The program itself names a copy: taken, by both copies of the package.
const elsewhere = path.join(temporary, 'elsewhere');
mkdirSync(path.join(elsewhere, 'build/Release'), { recursive: true });
const own = path.join(elsewhere, 'build/Release/own.node');
cpSync(path.join(project, 'node_modules/@org/model-guard', addon), own);
writeFileSync(
  path.join(project, 'steered.cjs'),
  `try { require('@org/model-guard').MasterKey.generate(); } catch (error) { if (error.code === 'NATIVE_UNTRUSTED') process.exit(0); throw error; }
throw new Error('the environment chose the addon');`,
);
writeFileSync(
  path.join(project, 'named.mjs'),
  `import { createRequire } from 'node:module';
import * as esm from '@org/model-guard';
const require = createRequire(import.meta.url);
const cjs = require('@org/model-guard');
esm.useNativeAddon(${JSON.stringify(own)});
await esm.encrypt(new Uint8Array(3), { name: 'm', version: '1', recipients: [cjs.MasterKey.generate()] });
const loaded = Object.keys(require.cache).filter((file) => file.endsWith('.node'));
if (loaded.join() !== ${JSON.stringify(own)}) throw new Error('loaded: ' + loaded);`,
);
const env = { ...process.env, '@ORG/MODEL_GUARD_PREBUILD': elsewhere };
run('the environment does not choose the addon', process.execPath, ['steered.cjs'], { env });
run('the program does, for import and require', process.execPath, ['named.mjs'], { env });

tryBundlers({ project, tarball, temporary, addon: own, run });

const typed = `import { load, migrate, type GuardedModel, fileStore, MasterKey, ModelGuardError } from '@org/model-guard';
import { decryptFile, LegacyKey } from '@org/model-guard/legacy';
export async function first(file: string): Promise<number> {
  const model: GuardedModel = await load('m@1', { from: fileStore('parts'), identities: [await MasterKey.fromFile(file)], unsigned: 'accept' });
  try { return model.bytes[0] ?? 0; } catch (error) { if (error instanceof ModelGuardError && error.code === 'DISPOSED') return 0; throw error; }
  finally { model.dispose(); }
}
export async function move(artifact: string): Promise<string> {
  const key = await LegacyKey.fromKeyString({ file: 'key.txt' });
  (await decryptFile(artifact, { key })).dispose();
  return (await migrate(artifact, { key, name: 'm', version: '1', recipients: [MasterKey.generate()], out: 'm.mguard' })).source;
}
// @ts-expect-error 'accept' is the only word that gives up on a model's origin
export const refused = load('m@1', { from: fileStore('parts'), identities: [] as MasterKey[], unsigned: 'yes' });
`;
writeFileSync(path.join(project, 'esm.mts'), typed);
writeFileSync(path.join(project, 'common.cts'), typed);
for (const [title, options] of [
  ['node16', { module: 'node16', moduleResolution: 'node16' }],
  ['bundler', { module: 'esnext', moduleResolution: 'bundler' }],
]) {
  writeFileSync(
    path.join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'es2022',
        lib: ['es2022'],
        types: [],
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
        ...options,
      },
      files: title === 'bundler' ? ['esm.mts'] : ['esm.mts', 'common.cts'],
    }),
  );
  run(`types (${title}, types: [], no skipLibCheck)`, process.execPath, [
    path.join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    project,
  ]);
}
if (!run('the command', 'npx', ['model-guard', '--help']).includes('protect'))
  throw new Error('model-guard --help names no protect');
run('keygen', 'npx', ['model-guard', 'keygen', '--type', 'device', '--out', 'device.key']);

// The server's package, beside the SDK's: it starts, makes what it needs, says where it is, and stops.
run('npm run build (server)', 'npm', ['run', 'build', '--workspace', 'server'], { cwd: root });
const server = path.join(sources, 'server');
cpSync(path.join(root, 'server/dist'), path.join(server, 'dist'), { recursive: true });
const packedServer = JSON.parse(
  run('npm pack (server)', 'npm', ['pack', '--json', '--silent', '--ignore-scripts', '--pack-destination', project], {
    cwd: server,
  }),
);
const shipped = packedServer[0].files.map((file) => file.path);
if (shipped.some((file) => file.startsWith('test/') || file.startsWith('src/')))
  throw new Error("the server's package ships its sources");
const serverTarball = path.join(project, packedServer[0].filename);
run('npm install of the server', 'npm', ['install', '--no-audit', '--no-fund', serverTarball]);
const child = spawn('npx', ['@org/model-guard-server', '--data', 'guard-data', '--port', '0'], {
  cwd: project,
  detached: true,
  stdio: ['ignore', 'pipe', 'inherit'],
});
let said = '';
for await (const bytes of child.stdout) {
  said += bytes;
  if (said.includes('"listening"')) break;
}
if (!said.includes('"listening"')) throw new Error(`the server did not start: ${said}`);
process.kill(-child.pid, 'SIGTERM');
console.log('ok: the server starts');

const runtimes = installRuntimes({ temporary, run });
await tellStories({ project, runtimes, temporary, run });
if (process.platform === 'linux') runStoryOnFipsHost({ project, runtimes, temporary, run });
await tryDrivers({ tarballs: [tarball, serverTarball], runtimes, temporary, root, run });
if (prebuilds) {
  const processors = ['x64', 'arm64'].filter((name) => files.some((file) => file.startsWith(`prebuilds/linux-${name}/`)));
  await runStoryInDebian11({ project, temporary, tarball, cache, processors, run });
}

rmSync(temporary, { recursive: true, force: true });
