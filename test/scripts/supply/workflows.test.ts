/** The rules of the workflows, each broken once in a copy. If these fail, a job with rights of this repository may run code that no maintainer chose. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../support/shared.js';
import { temporaryFolder } from '../../support/temp.js';

const base = temporaryFolder('workflows');

function check(folder: string) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [path.join(projectRoot, 'scripts/supply/workflows.mjs'), folder],
    {
      encoding: 'utf8',
    },
  );
  return { status, stdout, stderr };
}

const DIGEST = '0123456789abcdef0123456789abcdef01234567';
const GOOD = `name: Good
on: push
permissions: {}
concurrency:
  group: good
jobs:
  build:
    runs-on: ubuntu-24.04
    environment: release
    timeout-minutes: 5
    permissions:
      id-token: write
    container:
      image: node:20@sha256:${DIGEST.repeat(2).slice(0, 64)}
    steps:
      - uses: actions/checkout@${DIGEST} # v6.0.2
        with:
          persist-credentials: false
      - run: npm ci
      - run: npm run planted
      - run: scripts/planted.sh "$NAME"
        env:
          NAME: \${{ github.ref_name }}
`;
/** Each rule: what of GOOD is replaced, and what is said. */
const BROKEN: readonly (readonly [string, string, string, RegExp])[] = [
  ['tag', `@${DIGEST} # v6.0.2`, '@v6', /line 16 names no action by digest and version/],
  ['no-version', ' # v6.0.2', '', /line 16 names no action by digest and version/],
  [
    'quoted',
    `- uses: actions/checkout@${DIGEST} # v6.0.2`,
    '- "uses": actions/checkout@v6',
    /names actions\/checkout@v6 without its digest/,
  ],
  ['image', /@sha256:\w+/.exec(GOOD)![0], '', /job build names an image without its digest/],
  ['top', 'permissions: {}', 'permissions: read-all', /it lacks "permissions: {}" at the top/],
  ['rights', '    permissions:\n      id-token: write\n', '', /job build names no permissions/],
  ['all-rights', '    permissions:\n      id-token: write\n', '    permissions: write-all\n', /job build has every permission/],
  ['environment', '    environment: release\n', '', /may sign as this repository outside of the environment release/],
  ['timeout', '    timeout-minutes: 5\n', '', /job build has no timeout-minutes/],
  ['concurrency', 'concurrency:\n  group: good\n', '', /it has no concurrency/],
  ['credentials', '        with:\n          persist-credentials: false\n', '', /job build keeps the token of its checkout/],
  ['strangers', 'on: push', 'on:\n  pull_request_target:', /rights on code of strangers/],
  ['expression', '"$NAME"', `"\${{ github.ref_name }}"`, /job build has an expression in run/],
  ['no-script', 'run planted', 'run missing', /package\.json has no script missing/],
  ['no-file', 'scripts/planted.sh', 'scripts/missing.sh', /there is no file scripts\/missing\.sh/],
  ['shell', 'npm run planted', 'curl https://example.org', /it is no script of this repository/],
  ['two', 'npm run planted', 'npm run planted | tee out', /it is more than one command/],
  ['actionlint', 'ubuntu-24.04', 'ubuntu-1.04', /label "ubuntu-1\.04" is unknown/],
];

describe('the check of the workflows', () => {
  let said = '';
  beforeAll(() => {
    const folder = mkdtempSync(path.join(base, 'planted-'));
    for (const name of ['.github/workflows', 'scripts']) mkdirSync(path.join(folder, name), { recursive: true });
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ scripts: { planted: 'true' } }));
    writeFileSync(path.join(folder, 'scripts/planted.sh'), '');
    const write = (name: string, text: string) => writeFileSync(path.join(folder, `.github/workflows/${name}.yml`), text);
    write('good', GOOD);
    for (const [name, text, by] of BROKEN)
      write(
        name,
        GOOD.replace(text, () => by),
      );
    const { status, stderr } = check(folder);
    expect(status).toBe(1);
    said = stderr;
  });

  it.each(BROKEN)('finds: %s', (name, _text, _by, reason) => {
    const lines = said.split('\n').filter((line) => line.startsWith(`.github/workflows/${name}.yml: `));
    expect(lines.join('\n')).toMatch(reason);
  });

  it('finds nothing where all is right', () => {
    expect(said).not.toContain('good.yml');
  });

  it('finds nothing in the workflows of this project, until a script that they run is gone', () => {
    const folder = mkdtempSync(path.join(base, 'own-'));
    for (const name of ['.github', '.ci', 'scripts', 'package.json'])
      cpSync(path.join(projectRoot, name), path.join(folder, name), { recursive: true });
    const names = readdirSync(path.join(folder, '.github/workflows'));
    expect(names.sort()).toEqual(['ci.yml', 'release.yml', 'scan.yml']);
    expect(check(folder)).toEqual({ status: 0, stdout: `ok: ${names.sort().join(', ')}\n`, stderr: '' });
    rmSync(path.join(folder, 'scripts/release/publish.sh'));
    expect(check(folder)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('there is no file scripts/release/publish.sh'),
    });
  });
});
