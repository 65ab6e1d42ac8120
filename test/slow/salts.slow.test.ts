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
import { DeviceKey, decrypt, hardware, inspect } from '../../src/index.js';
import { LegacyKey, decrypt as legacyDecrypt } from '../../src/legacy/index.js';
import { failureOf } from '../support/failures.js';
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
    expect(output).toContain(`warning: other users may read or write the salts file '${path.join(project.root, 'own.salts')}'`);
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

  it("the default build refuses what an organisation's build bound to the same machine, and says why", async () => {
    runIn(
      project.root,
      `import { DeviceKey, encrypt, exportMachine, hardware } from '@org/model-guard';
      await exportMachine('own.json');
      await DeviceKey.generate({ path: 'own.key', tpm: 'never' });
      await DeviceKey.fromFile('own.key');
      writeFileSync('own.mguard', await encrypt(Buffer.from('weights'), { recipients: [hardware('own.json')] }));`,
    );
    const at = (name: string) => path.join(project.root, name);
    const opening = { identities: [hardware()], unsigned: 'accept' } as const;
    for (const refused of [() => decrypt(readFileSync(at('own.mguard')), opening), () => DeviceKey.fromFile(at('own.key'))])
      expect(await failureOf(refused)).toMatchObject({
        code: 'SALTS_MISMATCH',
        message: expect.stringMatching(
          /bound by a build with other salts; this build has the public default ones.*Use the build/s,
        ),
      });
    const [slot] = (await inspect(at('own.mguard'))).slots;
    expect(slot?.machine).toMatchObject({ salts: 'other' });
    // Its own build opens both.
    runIn(
      project.root,
      `import { decrypt, hardware } from '@org/model-guard';
      const model = await decrypt(readFileSync('own.mguard'), { identities: [hardware()], unsigned: 'accept' });
      if (Buffer.from(model.bytes).toString() !== 'weights') throw new Error('not what was bound');`,
    );
  });

  it("the default build refuses an organisation's legacy artifacts, but for the 1 in 256 that nobody can tell", async () => {
    const COUNT = 16;
    runIn(
      project.root,
      `import { LegacyKey, encrypt } from '@org/model-guard/legacy';
      const key = await LegacyKey.forResource();
      for (let i = 0; i < ${COUNT}; i++) writeFileSync(i + '.enc', await encrypt(Buffer.from('weights'), { key }));`,
    );
    const key = await LegacyKey.forResource();
    const own = await LegacyKey.forResource({ salts: path.join(project.root, 'own.salts') });
    let refused = 0;
    for (let i = 0; i < COUNT; i++) {
      const artifact = readFileSync(path.join(project.root, `${i}.enc`));
      const failure = await legacyDecrypt(artifact, { key }).then(
        (model) => model.dispose(),
        (error: unknown) => error,
      );
      if (failure) expect(failure).toMatchObject({ code: 'LEGACY_FAILED', message: expect.stringContaining('its salts') });
      refused += failure ? 1 : 0;
      const model = await legacyDecrypt(artifact, { key: own });
      expect(Buffer.from(model.bytes).toString()).toBe('weights');
      model.dispose();
    }
    expect(refused).toBeGreaterThanOrEqual(COUNT - 3);
  });
});

/** An ES module in a project of its own. */
function runIn(cwd: string, lines: string): void {
  const script = `import { readFileSync, writeFileSync } from 'node:fs';\n${lines}`;
  execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
}

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
