// Gives both packages their next version: changesets computes it from .changeset/, and CHANGELOG.md's "Unreleased" becomes its section.
//   npm run release:version         changes the files; the commit is yours
//   npm run release:version -- --check     prints the version that it would be
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true });
const root = path.resolve(positionals[0] ?? '.');
const at = (...names) => path.join(root, ...names);
const read = (file) => readFileSync(at(file), 'utf8');
const readJson = (file) => JSON.parse(readFileSync(file, 'utf8'));
const SDK = '@org/model-guard';
/** Files that name the version, beside package.json. */
const MANIFESTS = ['server/deploy/kubernetes/guard.yaml', 'server/deploy/kubernetes/replicas.yaml'];

/** changesets does not see the root of a workspace as a package: it works on a copy of the manifests in which the root is one of them. */
function nextVersion() {
  const view = mkdtempSync(path.join(tmpdir(), 'model-guard-version-'));
  try {
    mkdirSync(path.join(view, 'server'));
    cpSync(at('.changeset'), path.join(view, '.changeset'), { recursive: true });
    const { name, version } = readJson(at('package.json'));
    writeFileSync(path.join(view, 'package.json'), JSON.stringify({ name, version, private: true, workspaces: ['.', 'server'] }));
    const server = readJson(at('server/package.json'));
    const dependencies = { [SDK]: server.dependencies[SDK] };
    writeFileSync(
      path.join(view, 'server/package.json'),
      JSON.stringify({ name: server.name, version: server.version, dependencies }),
    );
    const manifest = createRequire(import.meta.url).resolve('@changesets/cli/package.json');
    const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(path.dirname(manifest), 'bin.js'), 'version'], {
      cwd: view,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`changesets failed:\n${stdout}${stderr}`);
    return readJson(path.join(view, 'package.json')).version;
  } finally {
    rmSync(view, { recursive: true, force: true });
  }
}

/** Replaces the one place where `file` has `text`. */
function replace(file, text, by) {
  const parts = read(file).split(text);
  if (parts.length !== 2) throw new Error(`${file} has ${JSON.stringify(text)} ${parts.length - 1} times instead of once`);
  writeFileSync(at(file), parts.join(by));
}

const old = readJson(at('package.json')).version;
const next = nextVersion();
if (values.check || next === old) {
  console.log(next === old ? `ok: no changesets; the version stays ${old}` : `ok: the next version is ${next}`);
} else {
  replace('CHANGELOG.md', '\n## Unreleased\n', `\n## Unreleased\n\n## ${next} - ${new Date().toISOString().slice(0, 10)}\n`);
  replace('package.json', `\n  "version": "${old}",`, `\n  "version": "${next}",`);
  replace('server/package.json', `\n  "version": "${old}",`, `\n  "version": "${next}",`);
  replace('server/package.json', `"${SDK}": "${old}"`, `"${SDK}": "${next}"`);
  for (const file of MANIFESTS) replace(file, `model-guard-server:${old}`, `model-guard-server:${next}`);
  for (const file of readdirSync(at('.changeset')))
    if (file.endsWith('.md') && file !== 'README.md') rmSync(at('.changeset', file));
  console.log(`The version is ${next}. Next: npm install --package-lock-only, read CHANGELOG.md, commit, tag v${next}.`);
}
