/** The verdict on npm's answers. If these fail, a release goes out with a dependency of which a grave flaw is known, or although none was asked. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, it } from 'vitest';
import { projectRoot } from '../../support/shared.js';

/** An answer of `npm audit --json` in the format of report version 2, with one advisory and a package that needs the affected one. */
const report = (severity: string, other = severity) =>
  JSON.stringify({
    auditReportVersion: 2,
    vulnerabilities: {
      'a-parser': {
        name: 'a-parser',
        severity,
        isDirect: false,
        via: [
          {
            source: 1090001,
            name: 'a-parser',
            dependency: 'a-parser',
            title: 'A long text takes all memory',
            url: 'https://advisories.example.org/GHSA-0000-0000-0000',
            severity,
            cwe: ['CWE-400'],
            cvss: { score: 7.5, vectorString: 'CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H' },
            range: '<1.2.3',
          },
        ],
        effects: ['a-server'],
        range: '<1.2.3',
        nodes: ['node_modules/a-parser'],
        fixAvailable: true,
      },
      'a-server': {
        name: 'a-server',
        severity: other,
        isDirect: true,
        via: ['a-parser'],
        effects: [],
        range: '2.0.0 - 2.4.0',
        nodes: ['node_modules/a-server'],
        fixAvailable: { name: 'a-server', version: '3.0.0', isSemVerMajor: true },
      },
    },
    metadata: { vulnerabilities: { info: 0, low: 0, moderate: 0, high: 0, critical: 0, total: 2 } },
  });

function judge(answer: string) {
  const script = path.join(projectRoot, 'scripts/supply/audit.mjs');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, '-'], { input: answer, encoding: 'utf8' });
  return { status, stdout, stderr };
}

it('is good where nothing is known, or nothing grave', () => {
  const none = JSON.stringify({ auditReportVersion: 2, vulnerabilities: {}, metadata: {} });
  expect(judge(none)).toMatchObject({ status: 0, stdout: expect.stringContaining('ok: 0 packages') });
  expect(judge(report('low', 'moderate'))).toMatchObject({ status: 0, stdout: expect.stringContaining('moderate: a-server') });
});

it.each([
  ['high', 'high'],
  ['critical', 'critical'],
  ['moderate', 'high'],
])('is bad where something is rated %s and %s, and names the advisory and the fix', (severity, other) => {
  const { status, stdout, stderr } = judge(report(severity, other));
  expect(status).toBe(1);
  expect(stdout).toContain(
    `${severity}: a-parser <1.2.3: A long text takes all memory (https://advisories.example.org/GHSA-0000-0000-0000); a fix is available`,
  );
  expect(stdout).toContain(`${other}: a-server 2.0.0 - 2.4.0: through a-parser`);
  expect(stderr).toMatch(/^audit: [12] of 2 packages are rated high or critical$/m);
});

it.each([
  [
    'the registry refuses',
    '{"message":"405 Method Not Allowed","method":"POST","error":{"summary":"","detail":""}}',
    /gave no report/,
  ],
  [
    'npm has no lock file',
    '{"error":{"code":"ENOLOCK","summary":"This command requires an existing lockfile.","detail":""}}',
    /lockfile/,
  ],
  ['the format is another', '{"auditReportVersion":3,"vulnerabilities":{}}', /unknown format/],
  ['there is no answer', '', /not JSON/],
])('is none where %s', (_, answer, reason) => {
  const { status, stderr } = judge(answer);
  expect([status, stderr]).toEqual([2, expect.stringMatching(reason)]);
});
