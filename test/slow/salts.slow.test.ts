/**
 * An organisation's own salts, baked by the command that it would run: neither they nor the public ones can be found in the stripped
 * binary, which shows nothing of itself but what Node calls. What cannot be baked ends the build.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { binaryOf, Project } from '../support/salts-build.js';
import { seeded } from '../support/seed.js';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';
import { allForms, findWindows } from '../support/windows.js';

const folder = temporaryFolder('salts');
const require = createRequire(import.meta.url);
const sha256 = (...parts: readonly (string | Uint8Array)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const publicSalt = (name: string): Buffer => Buffer.from(sha256(`model-guard public default ${name} salt`).toString('base64url'));

const PUBLIC = {
  pepper: sha256('model-guard public default pepper'),
  'legacy-download': publicSalt('download'),
  'legacy-hardware': publicSalt('hardware'),
  'legacy-resource': publicSalt('resource'),
};
/** Of the shortest length that has a window, of a usual one, and of the longest. Made up, but the same in every run. */
const OWN = {
  pepper: sha256('the pepper of a test'),
  'legacy-download': Buffer.from('q7#Zp!w2'),
  'legacy-hardware': Buffer.from(`Grüße, ${sha256('hardware').toString('hex')}`),
  'legacy-resource': Buffer.from(sha256('resource').toString('base64').repeat(24).slice(0, 1024)),
};

const lines = Object.entries(OWN).map(([name, salt]) => `${name} ${name === 'pepper' ? salt.toString('base64url') : salt}\n`);
const ownText = `model-guard-salts v1\n${lines.join('')}`;

describe('npm rebuild with MODEL_GUARD_SALTS', () => {
  const random = seeded('salts');
  let project: Project;
  let output: string;
  beforeAll(async () => {
    project = await Project.create();
    writeFileSync(path.join(project.root, 'own.salts'), ownText, { mode: 0o644 });
    const done = await project.rebuild('own.salts');
    output = done.output;
    expect(done.failed, output).toBe(false);
  }, 1_800_000); // a whole build, on a machine that may be busy
  const own = (): string => path.join(project.folder, 'build/Release/model_guard.node');

  it('compiles although a binary fits, takes a relative path from where npm was called, warns if others may read the file', () => {
    expect(binaryOf(project.folder)).toBe(own());
    expect(output).toContain(
      `warning: group or others may read or write the salts file '${path.join(project.root, 'own.salts')}'`,
    );
  });

  const builds = [
    ['the default build', () => binaryOf(projectRoot), PUBLIC],
    ["an organisation's build", own, OWN],
  ] as const;

  it.each(builds)('no 8 bytes in a row of any salt stand in %s', (_, binary, salts) => {
    const bytes = readFileSync(binary());
    expect(findWindows(bytes, salts)).toEqual([]);
    for (const [name, salt] of Object.entries(salts)) {
      for (const { label, bytes: form } of allForms(name, salt)) {
        const planted = Buffer.from(bytes.subarray(0, 65_536));
        const at = random.integer(planted.length - 8);
        planted.set(form.subarray(form.length - 8), at);
        expect(findWindows(planted, { [name]: salt }), `the search misses ${label}, at ${at}`).not.toEqual([]);
      }
    }
  });

  it.each(builds)('%s shows only what Node calls, and no symbols', (_, binary) => {
    const shown = execFileSync('nm', ['-D', '--defined-only', binary()], { encoding: 'utf8' }).trim().split('\n');
    expect(shown.map((line) => line.split(' ').at(-1))).toEqual([
      'napi_register_module_v1',
      'node_api_module_get_api_version_v1',
    ]);
    const sections = execFileSync('readelf', ['--wide', '--sections', binary()], { encoding: 'utf8' });
    expect(sections).toContain('.dynsym');
    expect(sections).not.toMatch(/\.symtab|\.debug/);
  });

  it('the builds say whose salts they have', () => {
    const said = builds.map(([, binary, { pepper }]) => {
      const { salts } = require(binary()) as { salts(): { id: string; default: boolean } };
      expect(salts().id).toBe(sha256('model-guard/v1/salts', pepper).subarray(0, 8).toString('hex'));
      return salts().default;
    });
    expect(said).toEqual([true, false]);
  });
});

function saltsFile(name: string, content: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}

describe('npm rebuild', () => {
  let project: Project;
  beforeAll(async () => {
    project = await Project.create();
  });

  it('without MODEL_GUARD_SALTS compiles nothing where a binary fits', async () => {
    expect(await project.rebuild()).toMatchObject({ failed: false });
    expect(existsSync(path.join(project.folder, 'build'))).toBe(false);
  });

  it.each([
    ['is absent', path.join(folder, 'none.salts'), /cannot read the salts file '.*none\.salts'.*no such file/],
    [
      'has a short pepper',
      saltsFile('short.salts', 'model-guard-salts v1\npepper AAAA\n'),
      /line 2 of the salts file '.*short\.salts' must hold the base64url of 32 bytes/,
    ],
    [
      'names a salt twice',
      saltsFile('twice.salts', `${ownText}legacy-download again\n`),
      /line 6 of the salts file '.*twice\.salts' gives legacy-download a second time/,
    ],
  ])('fails where the salts file %s, says why, and leaves no binary', async (_, file, why) => {
    const { failed, output } = await project.rebuild(file);
    expect(failed, output).toBe(true);
    expect(output).toMatch(why);
    expect(output).toContain('model-guard keygen --type salts');
    expect(existsSync(path.join(project.folder, 'build/Release/model_guard.node'))).toBe(false);
  });
});
