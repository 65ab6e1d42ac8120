// Finds credentials in the repository: tokens of clouds and registries, private keys, passwords in addresses, key files of model-guard.
//   npm run secrets [-- FOLDER]
// In a clone it reads the tracked files and the new ones that git does not ignore; elsewhere every file.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { lintSource } from '@secretlint/core';
import { creator } from '@secretlint/secretlint-rule-preset-recommend';

/** Findings that may stay: the file, the text that was found, and the reason. */
const ALLOWED = [
  {
    file: /^server\/test\/database\/(postgres|url)\.test\.ts$/,
    text: /^(?:postgres|mysql):\/\/\w+:hidden-5871@/,
    reason: 'a password without a database, which messages and logs must not show',
  },
  {
    file: /^test\/.*\.test\.ts$/,
    text: /\/\/user:(?:word|hunter2)@/,
    reason: 'addresses that are refused because they hold a password',
  },
  {
    file: /^test\/salts\/files\.json$/,
    text: /AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8/,
    reason: 'the bytes 0 to 31, as a vector',
  },
  {
    file: /^test\/reference\/machine-vector\.ts$/,
    text: /v1 device sealed/,
    reason: 'a sealed key of an invented machine, as a vector',
  },
];

/** A key file of model-guard (docs/format.md, section 8), also as a string in a program. */
const KEY_FILE = /model-guard-key v1 (?:master|device|signing) (?:plain|sealed)(?:\n|\\n)[\w-]{43,}/g;
const PRESET = '@secretlint/secretlint-rule-preset-recommend';
/** Bytes. Models and their like are larger, and are not text. */
const LARGEST = 4 * 1024 * 1024;

const folder = path.resolve(process.argv[2] ?? '.');
const names = existsSync(path.join(folder, '.git'))
  ? execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: folder,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    }).split('\0')
  : readdirSync(folder, { recursive: true });
const files = names.filter((name) => statSync(path.join(folder, name), { throwIfNoEntry: false })?.isFile());

/** Each as [start, end, description]. */
async function findSecrets(filePath, content) {
  const { messages } = await lintSource({
    source: { filePath, content, contentType: 'text' },
    options: { config: { rules: [{ id: PRESET, rule: creator }] }, maskSecrets: true },
  });
  return [
    ...messages.map(({ range, message }) => [...range, message]),
    ...[...content.matchAll(KEY_FILE)].map(({ index, 0: text }) => [
      index,
      index + text.length,
      'found a key file of model-guard',
    ]),
  ];
}

const findings = [];
for (const file of files) {
  const filePath = path.join(folder, file);
  const bytes = readFileSync(filePath);
  if (bytes.length > LARGEST || bytes.includes(0)) continue;
  const content = bytes.toString('utf8');
  for (const [start, end, description] of await findSecrets(filePath, content)) {
    const text = content.slice(start, end);
    if (ALLOWED.some((allowed) => allowed.file.test(file) && allowed.text.test(text))) continue;
    findings.push(`${file}:${content.slice(0, start).split('\n').length}: ${description}`);
  }
}
for (const finding of findings) console.error(finding);
if (findings.length > 0) {
  console.error(
    'A credential that was committed is public: replace it where it is used, then remove it here. A finding that is no credential goes into ALLOWED.',
  );
  process.exit(1);
}
console.log(`ok: no credentials in ${files.length} files`);
