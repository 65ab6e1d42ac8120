/**
 * The sources of the libraries in the package's binary, and the check of that binary. If these fail, prebuilds are made from other sources than those
 * that were reviewed, or one that works on the build machine alone is released.
 */
import { execFile, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error: a script without types
import { checkAddon } from '../../scripts/prebuild/check-addon.mjs';
import { projectRoot } from '../support/shared.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('prebuild');

describe("the source of a prebuild's library", () => {
  const clone = path.join(folder, 'clone');
  beforeAll(() => {
    mkdirSync(clone);
    cpSync(path.join(projectRoot, 'scripts/crypto'), path.join(clone, 'scripts/crypto'), { recursive: true });
  });
  const build = (target: string, archive: string) =>
    new Promise<{ code: unknown; said: string }>((done) => {
      const env = { PATH: process.env.PATH, MODEL_GUARD_OPENSSL_ARCHIVE: archive };
      execFile(path.join(clone, 'scripts/crypto/build.sh'), [target], { env }, (error, stdout, stderr) =>
        done({ code: error?.code ?? 0, said: stdout + stderr }),
      );
    });

  it('is refused where its digest is another', async () => {
    const archive = path.join(folder, 'openssl.tar.gz');
    writeFileSync(archive, 'not the source');
    const { code, said } = await build('linux-x64', archive);
    expect([code, said]).toEqual([
      1,
      expect.stringMatching(/^\S*openssl\.tar\.gz is not the source of OpenSSL 3\.5\.\d+: its SHA-256 is/),
    ]);
    expect(existsSync(path.join(clone, '.openssl'))).toBe(false);
  });

  it('of libipsec-mb too', () => {
    const archive = path.join(folder, 'ipsec-mb.tar.xz');
    writeFileSync(archive, 'not the source');
    const env = { PATH: process.env.PATH, MODEL_GUARD_IPSEC_MB_ARCHIVE: archive };
    const { status, stdout, stderr } = spawnSync(path.join(clone, 'scripts/crypto/fetch.sh'), ['IPSEC_MB'], {
      env,
      encoding: 'utf8',
    });
    expect([status, stdout, stderr]).toEqual([
      1,
      '',
      expect.stringMatching(/^\S*ipsec-mb\.tar\.xz is not the source of libipsec-mb \d+\.\d+: its SHA-256 is/),
    ]);
  });

  it('is named where there is none', async () => {
    expect(await build('linux-x64', '/nowhere/openssl.tar.gz')).toEqual({
      code: 1,
      said: 'MODEL_GUARD_OPENSSL_ARCHIVE: there is no file /nowhere/openssl.tar.gz\n',
    });
  });

  it('is built for known targets alone', async () => {
    expect((await build('linux-mips', '')).code).toBe(2);
  });
});

describe('the check of an addon', () => {
  const compiled = path.join(projectRoot, 'build/Release/model_guard.node');

  it('finds that one from source asks the program for OpenSSL, and the C++ library of its system', () => {
    const { problems } = checkAddon(compiled) as { problems: readonly string[] };
    expect(problems).toEqual([
      expect.stringMatching(/^it asks the program for OpenSSL's .*EVP_DigestInit_ex/),
      expect.stringContaining('it needs libstdc++.so.6'),
    ]);
  });

  it('finds an older glibc to be too old, and names the functions', () => {
    const { problems } = checkAddon(compiled, { glibc: '2.4' }) as { problems: readonly string[] };
    expect(problems.at(-1)).toMatch(/^it needs glibc 2\.\d+, newer than 2\.4: .*@GLIBC_2\.\d+/);
  });
});
