/** The guards of `npm run lint`: a violation of each rule, planted in a copy, is found. A guard that finds nothing would pass for ever. */
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const copy = temporaryFolder('guards');
const place = (...names: string[]): string => path.join(copy, ...names);
const COPIED = [
  'src',
  'native',
  'docs',
  'test',
  'bench',
  'examples',
  'scripts',
  'server/src',
  'server/test',
  'server/package.json',
];
const CONFIGURED = [
  'package.json',
  'tsconfig.json',
  'server/tsconfig.json',
  '.dependency-cruiser.cjs',
  'knip.jsonc',
  'typedoc.json',
  'biome.json',
  '.clang-format',
];

/** Runs a tool of the project in the copy. */
const run = (tool: string, ...words: readonly string[]) => {
  const { status, stdout, stderr } = spawnSync(path.join(projectRoot, 'node_modules/.bin', tool), words, {
    cwd: copy,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return { status, stdout, text: `${stdout}${stderr}` };
};

beforeAll(() => {
  for (const name of [...COPIED, ...CONFIGURED, 'tsup.config.ts', 'vitest.config.ts', 'server/tsup.config.ts'])
    cpSync(path.join(projectRoot, name), place(name), {
      recursive: true,
      filter: (source) => !/\/(build|node_modules)(\/|$)/.test(source),
    });
  symlinkSync(path.join(projectRoot, 'node_modules'), place('node_modules'));
});

describe('the API reference', () => {
  it('wants a docstring for each public name', () => {
    const words = ['--emit', 'none', '--logLevel', 'Warn', '--readme', 'none'];
    expect(run('typedoc', ...words)).toMatchObject({ status: 0, text: '' });
    const text = readFileSync(place('src/split.ts'), 'utf8');
    const at = text.indexOf('export async function splitFile');
    writeFileSync(place('src/split.ts'), text.slice(0, text.lastIndexOf('/**', at)) + text.slice(at));
    const { status, text: output } = run('typedoc', ...words);
    writeFileSync(place('src/split.ts'), text);
    expect(status).not.toBe(0);
    expect(output).toContain('splitFile');
  });
});

describe('the arrows', () => {
  let found: readonly { readonly from: string; readonly to: string; readonly rule: { readonly name: string } }[] = [];

  beforeAll(() => {
    const plant = (file: string, ...imports: readonly string[]): void =>
      writeFileSync(place(file), imports.map((line) => `${line}\n`).join(''));
    plant('src/base/planted.ts', "import '../keys/key.js';");
    plant('src/files/planted-a.ts', "import type { B } from './planted-b.js';", 'export type A = B | 1;');
    plant('src/files/planted-b.ts', "import type { A } from './planted-a.js';", 'export type B = A | 2;');
    plant('src/files/planted.ts', "import 'node-gyp-build';");
    plant('src/cli/planted.ts', "import type { Resolved } from '../engine/open.js';", 'export type R = Resolved;');
    plant('server/src/base/planted.ts', "import '../../../src/keys/key.js';");
    plant('server/src/http/planted.ts', "import '../accounts/users.js';");
    appendFileSync(place('src/load.ts'), "import './protect.js';\n");
    const { stdout } = run('depcruise', '--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'src', 'server/src');
    found = JSON.parse(stdout).summary.violations;
  }, 600_000);

  it.each([
    ['upwards from ^src/base/', 'src/base/planted.ts'],
    ['circle', 'src/files/planted-a.ts'],
    ['the addon outside of native/', 'src/files/planted.ts'],
    ['the command beside the public face', 'src/cli/planted.ts'],
    ['the server beside server-kit', 'server/src/base/planted.ts'],
    ['upwards from ^server/src/http/', 'server/src/http/planted.ts'],
    ['a verb imports a verb', 'src/load.ts'],
  ])('%s', (rule, from) => {
    expect(found.filter((violation) => violation.from === from).map((violation) => violation.rule.name)).toContain(rule);
  });

  it('have no violation but the planted ones', () => {
    expect(found.filter(({ from }) => !/planted|load\.ts/.test(from))).toEqual([]);
  });
});

describe('dead code', () => {
  it('is found: a file that nothing imports, and an export that nothing uses', () => {
    writeFileSync(place('src/base/dead.ts'), 'export const dead = 1;\n');
    appendFileSync(place('src/base/bytes.ts'), 'export const planted = 1;\n');
    const { status, text } = run('knip', '--no-progress');
    expect(status).toBe(1);
    expect(text).toContain('src/base/dead.ts');
    expect(text).toMatch(/planted\s.*src\/base\/bytes\.ts/);
  }, 600_000);
});

describe('language', () => {
  const check = (folder: string) =>
    spawnSync(process.execPath, [path.join(projectRoot, 'scripts/check-language.mjs'), folder], { encoding: 'utf8' });

  it('is checked in comments, messages and docs', () => {
    expect(check(copy)).toMatchObject({ status: 0, stderr: '' });
    writeFileSync(place('src/base/header.ts'), '/** What this is. */\nexport {};\n');
    writeFileSync(place('native/core/planted.h'), '#pragma once\n// Who reads it.\n');
    appendFileSync(place('docs/format.md'), '\nWhoever reads this.\n');
    const { status, stderr } = check(copy);
    expect(status).toBe(1);
    expect(stderr).toContain('src/base/header.ts:1');
    expect(stderr).toContain('native/core/planted.h:1');
    expect(stderr).toContain(`docs/format.md:${readFileSync(place('docs/format.md'), 'utf8').split('\n').length - 1}`);
  });
});

describe('style', () => {
  it('is checked in TypeScript', () => {
    writeFileSync(place('src/base/style.ts'), 'export const a   =  "b"\n');
    expect(run('biome', 'check', '--vcs-enabled=false', 'src/base/style.ts').status).toBe(1);
  });

  it('is checked in C++', () => {
    const check = () =>
      spawnSync(process.execPath, [path.join(projectRoot, 'scripts/format-cpp.mjs'), copy], { encoding: 'utf8' });
    expect(check()).toMatchObject({ status: 0, stderr: '' });
    writeFileSync(place('native/core/style.cc'), 'int  a = 1;\n');
    const { status, stderr } = check();
    expect(status).toBe(1);
    expect(stderr).toContain('native/core/style.cc:1');
  });
});
