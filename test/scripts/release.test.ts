/**
 * The scripts of a release. If these fail, the two packages get versions that do not fit each other, a tag is released as another version, or
 * binaries are released that a second build does not confirm.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('release');
const FILES = [
  '.changeset',
  'package.json',
  'server/package.json',
  'server/deploy/kubernetes',
  'CHANGELOG.md',
  'scripts/release',
];

function copy() {
  const folder = mkdtempSync(path.join(base, 'copy-'));
  for (const name of FILES) cpSync(path.join(projectRoot, name), path.join(folder, name), { recursive: true });
  const read = (file: string): string => readFileSync(path.join(folder, file), 'utf8');
  const write = (file: string, text: string): void => writeFileSync(path.join(folder, file), text);
  return { folder, read, write };
}
function run(script: string, ...words: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...words], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('a new version', () => {
  const script = path.join(projectRoot, 'scripts/release/version.mjs');
  const plant = (write: (file: string, text: string) => void, name: string, bumps: string): void =>
    write(`.changeset/${name}.md`, `---\n${bumps}\n---\n\nA change.\n`);

  it('is the largest step of all changesets, for both packages and in every file that names it', () => {
    const { folder, read, write } = copy();
    for (const file of ['package.json', 'server/package.json'])
      write(
        file,
        read(file)
          .replace(/"version": "[^"]+"/, '"version": "0.4.2"')
          .replace(/("@org\/model-guard"): "\d[^"]+"/, '$1: "0.4.2"'),
      );
    for (const name of ['guard', 'replicas']) {
      const file = `server/deploy/kubernetes/${name}.yaml`;
      write(file, read(file).replace(/model-guard-server:\d[\d.]+/, 'model-guard-server:0.4.2'));
    }
    plant(write, 'one', '"@org/model-guard": patch');
    plant(write, 'two', '"@org/model-guard": minor');
    const changelog = read('CHANGELOG.md');

    expect(run(script, folder, '--check')).toEqual({ status: 0, stdout: 'ok: the next version is 0.5.0\n', stderr: '' });
    expect(read('CHANGELOG.md')).toBe(changelog);

    expect(run(script, folder)).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(read('package.json')).version).toBe('0.5.0');
    expect(JSON.parse(read('server/package.json'))).toMatchObject({
      version: '0.5.0',
      dependencies: { '@org/model-guard': '0.5.0' },
    });
    expect(read('server/deploy/kubernetes/guard.yaml')).toContain('image: model-guard-server:0.5.0');
    expect(read('server/deploy/kubernetes/replicas.yaml')).toContain('image: model-guard-server:0.5.0');
    expect(read('CHANGELOG.md').replace(/\n## 0\.5\.0 - \d{4}-\d\d-\d\d\n/, '')).toBe(changelog);
    expect(existsSync(path.join(folder, '.changeset/one.md'))).toBe(false);
    expect(existsSync(path.join(folder, '.changeset/README.md'))).toBe(true);
  });

  it('grows with a change of the server alone, too', () => {
    const { folder, write } = copy();
    rmSync(path.join(folder, '.changeset'), { recursive: true });
    cpSync(path.join(projectRoot, '.changeset/config.json'), path.join(folder, '.changeset/config.json'));
    plant(write, 'one', '"@org/model-guard-server": major');
    expect(run(script, folder, '--check').stdout).toBe('ok: the next version is 1.0.0\n');
  });

  it('is refused where a changeset names another package', () => {
    const { folder, write } = copy();
    plant(write, 'one', '"@org/another": major');
    const { status, stderr } = run(script, folder, '--check');
    expect([status, stderr]).toEqual([1, expect.stringContaining('changesets failed')]);
  });
});

describe('a tag', () => {
  it('is that of both packages, and of a section of the changelog, which goes to the page', () => {
    const { folder, read, write } = copy();
    const script = path.join(folder, 'scripts/release/check-tag.mjs');
    const version = JSON.parse(read('package.json')).version as string;
    write(
      'CHANGELOG.md',
      `# Changelog\n\n## Unreleased\n\n- next\n\n## ${version} - 2026-01-02\n\n- this\n\n## 0.0.1 - 2025-01-02\n\n- old\n`,
    );
    expect(run(script, `v${version}`)).toEqual({ status: 0, stdout: '- this\n', stderr: '' });

    write('server/package.json', read('server/package.json').replace(`"version": "${version}"`, '"version": "9.9.9"'));
    expect(run(script, `v${version}`)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('server/package.json has the version 9.9.9'),
    });
    expect(run(script, 'v0.0.2').stderr).toContain('CHANGELOG.md has no section for it');
    expect(run(script).status).toBe(1);
  });
});

describe('two builds', () => {
  const script = path.join(projectRoot, 'scripts/release/compare-builds.mjs');
  function builds(files: Readonly<Record<string, string>>) {
    const folder = mkdtempSync(path.join(base, 'builds-'));
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(path.join(folder, 'in', path.dirname(file)), { recursive: true });
      writeFileSync(path.join(folder, 'in', file), text);
    }
    return { ...run(script, path.join(folder, 'in'), path.join(folder, 'out')), out: path.join(folder, 'out') };
  }
  const same = { 'linux-x64-1/a.node': 'A', 'linux-x64-2/a.node': 'A', 'linux-arm64-1/b.node': 'B', 'linux-arm64-2/b.node': 'B' };

  it('that are the same become the prebuilds', () => {
    const { status, out } = builds(same);
    expect(status).toBe(0);
    expect(readFileSync(path.join(out, 'linux-arm64/b.node'), 'utf8')).toBe('B');
  });

  it.each([
    ['a byte differs', { ...same, 'linux-arm64-2/b.node': 'C' }, 'linux-arm64: two builds differ'],
    ['one has a file more', { ...same, 'linux-x64-2/more': '' }, 'linux-x64: two builds differ'],
    ['neither has an addon', { 'linux-x64-1/LICENSE': 'L', 'linux-x64-2/LICENSE': 'L' }, 'linux-x64 has no addon'],
  ])('are refused where %s', (_, files, reason) => {
    const { status, stderr, out } = builds(files);
    expect([status, stderr]).toEqual([1, expect.stringContaining(reason)]);
    expect(existsSync(out)).toBe(false);
  });
});

describe('publishing', () => {
  /** A copy with release/ and stand-ins for npm and gh, which write down their words; `published` is what the registry has already. */
  function prepare(published: string) {
    const { folder, read, write } = copy();
    const manifest = JSON.parse(read('package.json')) as { version: string; repository?: string };
    const { version } = manifest;
    write('package.json', JSON.stringify({ ...manifest, repository: 'github:example/model-guard' }));
    mkdirSync(path.join(folder, 'release'));
    mkdirSync(path.join(folder, 'tools'));
    for (const name of ['org-model-guard', 'org-model-guard-server']) write(`release/${name}-${version}.tgz`, name);
    write('CHANGELOG.md', `# Changelog\n\n## ${version}\n\n- this\n`);
    const sums = spawnSync('bash', ['-c', 'sha256sum *'], { cwd: path.join(folder, 'release'), encoding: 'utf8' }).stdout;
    write('release/SHA256SUMS', sums);
    const tools = {
      npm: `if [ "$1" = view ]; then case "$2" in ${published || 'none'}) echo ${version} ;; esac; else echo "npm $*" >> "$LOG"; fi`,
      gh: '[ "$2" = view ] && exit "$NO_PAGE"; echo "gh $*" >> "$LOG"; while [ $# -gt 0 ]; do [ "$1" = --notes-file ] && cat "$2" >> "$LOG"; shift; done; true',
    };
    for (const [name, text] of Object.entries(tools))
      writeFileSync(path.join(folder, 'tools', name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    const log = path.join(folder, 'log');
    const start = (script: string, more: Readonly<Record<string, string>> = {}) => {
      const env = { PATH: `${folder}/tools:${process.env.PATH}`, LOG: log, TAG: `v${version}`, NO_PAGE: '1', ...more };
      const { status } = spawnSync(path.join(folder, 'scripts/release', script), { env, encoding: 'utf8' });
      return { status, log: existsSync(log) ? readFileSync(log, 'utf8') : '' };
    };
    return { version, write, start };
  }

  it('sends the SDK before the server that depends on it, each with its provenance', () => {
    const { version, start } = prepare('');
    const publish = (name: string) => `npm publish ./${name}-${version}.tgz --provenance --ignore-scripts\n`;
    expect(start('publish.sh')).toEqual({ status: 0, log: publish('org-model-guard') + publish('org-model-guard-server') });
  });

  it('goes on where an earlier run broke off', () => {
    const { version, start } = prepare('@org/model-guard@*');
    expect(start('publish.sh').log).toBe(`npm publish ./org-model-guard-server-${version}.tgz --provenance --ignore-scripts\n`);
  });

  it('waits for the name of the repository, without which npm takes no provenance', () => {
    const { write, start } = prepare('');
    write('package.json', JSON.stringify({ version: '1.0.0' }));
    expect(start('publish.sh')).toEqual({ status: 1, log: '' });
  });

  it('sends nothing that is not what was packed', () => {
    const { version, write, start } = prepare('');
    write(`release/org-model-guard-server-${version}.tgz`, 'another');
    for (const script of ['publish.sh', 'github.sh']) expect(start(script), script).toEqual({ status: 1, log: '' });
  });

  it("puts the changelog's section and every file on the release's page", () => {
    const { version, start } = prepare('');
    const { status, log } = start('github.sh');
    expect(status).toBe(0);
    expect(log).toContain(`gh release create v${version} --verify-tag --title v${version} --notes-file`);
    expect(log).toContain('\n- this\n');
    const upload = log.split('\n').find((line) => line.startsWith(`gh release upload v${version} --clobber`));
    for (const file of ['SHA256SUMS', `org-model-guard-${version}.tgz`]) expect(upload).toContain(` release/${file}`);
  });

  it('sends the files to a page that an earlier run has made', () => {
    const { version, start } = prepare('');
    const { status, log } = start('github.sh', { NO_PAGE: '0' });
    expect(status).toBe(0);
    expect(log).toMatch(new RegExp(`^gh release upload v${version} --clobber .*SHA256SUMS`));
  });
});
