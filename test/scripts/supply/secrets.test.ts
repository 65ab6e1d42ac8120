/** The search for credentials. If these fail, a key that was committed by mistake goes unnoticed. The keys here are made as the tests run. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { projectRoot } from '../../support/shared.js';
import { temporaryFolder } from '../../support/temp.js';

const base = temporaryFolder('secrets');

function search(files: Readonly<Record<string, string>>) {
  const folder = mkdtempSync(path.join(base, 'copy-'));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.join(folder, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(folder, file), text);
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(projectRoot, 'scripts/supply/secrets.mjs'), folder], {
    encoding: 'utf8',
  });
  return { status, stdout, lines: stderr.trim().split('\n') };
}
const keyFile = (type: string, bytes: number): string =>
  `${['model-guard-key', 'v1', type, 'plain'].join(' ')}\n${randomBytes(bytes).toString('base64url')}\n`;
const password = (word: string): string => ['https://', 'user', ':', word, '@models.example.org/'].join('');
const hubToken = (): string => `${'gh'}p_${randomBytes(18).toString('hex')}`;

it('finds tokens, passwords in addresses and key files, and says where', () => {
  const token = hubToken();
  const { status, lines } = search({
    'README.md': 'A text.\n',
    'src/upload.ts': `\nconst token = '${token}';\n`,
    'docs/start.md': `\n\nUse ${password(randomBytes(9).toString('hex'))}.\n`,
    'signing.txt': keyFile('signing', 32),
    'config.json': JSON.stringify({ key: keyFile('device', 64) }),
  });
  expect(status).toBe(1);
  expect(
    lines
      .slice(0, -1)
      .map((line) => line.split(': ')[0])
      .sort(),
  ).toEqual(['config.json:1', 'docs/start.md:3', 'signing.txt:1', 'src/upload.ts:2']);
  expect(lines.join('\n')).not.toContain(token);
});

it('passes over what is allowed in its own file alone', () => {
  const text = `expect(() => open('${password('hunter2')}')).toThrow();\n`;
  expect(search({ 'test/a.test.ts': text })).toMatchObject({ status: 0, stdout: 'ok: no credentials in 1 files\n' });
  expect(search({ 'src/a.ts': text }).lines[0]).toMatch(/^src\/a\.ts:1: /);
});
