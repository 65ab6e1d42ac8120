/** The step of every build that bakes the salts: what it takes, what it refuses, and that its output is the salts' alone. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot, readJson } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

interface SaltsFiles {
  readonly accepted: readonly { readonly what: string; readonly text: string }[];
  readonly refused: readonly { readonly what: string; readonly text: string; readonly line: number; readonly why: string }[];
}

const folder = temporaryFolder('bake');
const files = readJson(path.join(projectRoot, 'test/salts/files.json')) as SaltsFiles;
const HEAD = 'model-guard-salts v1\n';
const PEPPER = `pepper ${'A'.repeat(43)}\n`;
let count = 0;

function saltsFile(content: string | Uint8Array, mode = 0o600): string {
  count += 1;
  const file = path.join(folder, `${count}.salts`);
  writeFileSync(file, content);
  chmodSync(file, mode);
  return file;
}

/** Runs the step; `salts` is MODEL_GUARD_SALTS, absent where undefined. */
function bake(salts: string | undefined, { out = path.join(folder, `${count}.inc`), env = {}, cwd = folder } = {}) {
  const { MODEL_GUARD_SALTS: _, INIT_CWD: __, ...rest } = process.env;
  const done = spawnSync(process.execPath, [path.join(projectRoot, 'native/salts/bake.mjs'), out], {
    cwd,
    env: { ...rest, ...env, ...(salts === undefined ? {} : { MODEL_GUARD_SALTS: salts }) },
    encoding: 'utf8',
  });
  return { code: done.status, stderr: done.stderr, baked: existsSync(out) ? readFileSync(out, 'utf8') : undefined };
}

describe('baking salts', () => {
  it.each(files.accepted.map((one) => [one.what, one.text] as const))('takes %s', (_, text) => {
    expect(bake(saltsFile(text))).toEqual({ code: 0, stderr: '', baked: expect.stringContaining('kMasked') });
  });

  it.each(files.refused.map((one) => [one.what, one] as const))('refuses %s and names the line', (_, { text, line, why }) => {
    const file = saltsFile(text);
    const { code, stderr, baked } = bake(file);
    expect(code).toBe(1);
    expect(stderr).toContain(`line ${line} of the salts file '${file}' ${why}`);
    expect(stderr, 'says what to do').toContain('model-guard keygen --type salts');
    expect(stderr, 'shows what stands in the file').not.toContain('AAECAwQF');
    expect(baked, 'a build could go on').toBeUndefined();
  });

  it.each([
    ['is empty', saltsFile(''), 'is empty'],
    ['has no pepper', saltsFile(`${HEAD}legacy-download d\n`), 'has no pepper'],
    [
      'is no text',
      saltsFile(Buffer.concat([Buffer.from(`${HEAD}${PEPPER}legacy-download `), Buffer.of(0xff, 0x0a)])),
      'not UTF-8',
    ],
    ['is too large', saltsFile(HEAD + PEPPER + '\n'.repeat(16 * 1024)), 'is larger than 16 KiB'],
    ['is a folder', folder, 'is not a file'],
    ['is absent', path.join(folder, 'none.salts'), 'no such file'],
  ])('refuses a file that %s', (_, file, why) => {
    const { code, stderr, baked } = bake(file);
    expect(code).toBe(1);
    expect(stderr).toContain(why);
    expect(stderr).toContain(file);
    expect(baked).toBeUndefined();
  });

  it('takes legacy salts of 1 to 1,024 bytes', () => {
    const withSalt = (salt: string) => bake(saltsFile(`${HEAD}${PEPPER}legacy-resource ${salt}\n`)).code;
    expect([withSalt('x'), withSalt('y'.repeat(1024)), withSalt('ü'.repeat(512))]).toEqual([0, 0, 0]);
    expect([withSalt('y'.repeat(1025)), withSalt('ü'.repeat(513))]).toEqual([1, 1]);
  });

  it('refuses an empty MODEL_GUARD_SALTS: an unset variable of a pipeline must not give the public salts', () => {
    const { code, stderr } = bake('');
    expect(code).toBe(1);
    expect(stderr).toContain('set but empty');
  });

  it.each(['640', '604', '620', '602'])('warns of a file of mode %s, and goes on', (mode) => {
    const file = saltsFile(HEAD + PEPPER, Number.parseInt(mode, 8));
    const { code, stderr } = bake(file);
    expect(code).toBe(0);
    expect(stderr).toBe(
      `model-guard: warning: other users may read or write the salts file '${file}'; run \`chmod 600\`, and \`chown\` if it is another user's.\n`,
    );
  });

  it('takes a relative path from where npm was called', () => {
    const called = path.join(folder, 'called');
    mkdirSync(called);
    writeFileSync(path.join(called, 'own.salts'), HEAD + PEPPER, { mode: 0o600 });
    expect(bake('own.salts', { env: { INIT_CWD: called } }).code).toBe(0);
    expect(bake('own.salts', { cwd: called }).code, 'without npm: from the current folder').toBe(0);
    expect(bake('own.salts').code).toBe(1);
  });

  it('gives the same bytes for the same salts, other bytes for others', () => {
    const one = bake(saltsFile(`${HEAD}${PEPPER}legacy-download d\n`)).baked;
    expect(bake(saltsFile(`${HEAD}legacy-download d\n${PEPPER}`)).baked, 'the order of lines does not count').toBe(one);
    const others = [`${HEAD}${PEPPER}`, `${HEAD}${PEPPER}legacy-download e\n`, `${HEAD}${PEPPER}legacy-hardware d\n`];
    const all = [one, bake(undefined).baked, ...others.map((text) => bake(saltsFile(text)).baked)];
    expect(new Set(all).size).toBe(all.length);
    const lengths = new Set(all.map((text) => (text?.match(/kMasked.*/s)?.[0].match(/\d+/g) ?? []).length));
    expect(lengths.size, 'how much is baked tells the length of a salt').toBe(1);
  });

  it('leaves an unchanged file alone, so that nothing is compiled anew', () => {
    const out = path.join(folder, 'kept.inc');
    bake(undefined, { out });
    utimesSync(out, 1, 1);
    bake(undefined, { out });
    expect(statSync(out).mtimeMs).toBe(1000);
    bake(saltsFile(HEAD + PEPPER), { out });
    expect(statSync(out).mtimeMs).not.toBe(1000);
  });
});
