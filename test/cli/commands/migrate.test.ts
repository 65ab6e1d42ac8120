/** `model-guard migrate` with the words that scripts use. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { LegacyKey } from '../../../src/legacy/index.js';
import { modelGuard, succeed } from '../../support/cli.js';
import { luckyKey, sealLegacy } from '../../support/legacy.js';
import { seeded } from '../../support/seed.js';
import { temporaryFolder } from '../../support/temp.js';

const base = temporaryFolder('cli-migrate');
const at = (name: string): string => path.join(base, name);
const secret = (name: string, content: string): string => {
  writeFileSync(at(name), content, { mode: 0o600 });
  return at(name);
};
const random = seeded('command line of migrate');
const plain = random.bytes(200_000);
const sha256 = createHash('sha256').update(plain).digest('hex');
const sha384 = (...parts: readonly string[]): string => createHash('sha384').update(parts.join('')).digest('base64');
const KEY = 'the key string';
const SALTS = 'model-guard-salts v1\nlegacy-download d\nlegacy-hardware h\nlegacy-resource r\n';
const artifact = sealLegacy(plain, KEY);

beforeAll(async () => {
  writeFileSync(at('net.enc'), artifact);
  writeFileSync(at('net.small'), artifact.subarray(0, 3072));
  writeFileSync(at('net.big'), artifact.subarray(3072));
  secret('key.txt', `${KEY}\n`);
  secret('salts', SALTS);
  await succeed('keygen', '--out', at('master.key'));
  await succeed('keygen', '--type', 'signing', '--out', at('signing.key'));
});

const store = () => ['--store', at('store')];
let versions = 0;
const newVersion = (): string => {
  versions += 1;
  return `v${versions}`;
};
const naming = (version: string): string[] => ['--ref', `net@${version}`, '--recipient', at('master.key')];
const withKey = () => ['--key-file', at('key.txt')];

async function expectModel(version: string): Promise<void> {
  const { bytes } = await succeed(
    ...['load', `net@${version}`, ...store(), '--identity', at('master.key'), '--unsigned', 'accept', '--out', '-'],
  );
  expect(Buffer.compare(bytes, plain)).toBe(0);
}

describe('migrate', () => {
  it('publishes an artifact, and says what was not checked', async () => {
    const version = newVersion();
    const { stdout, stderr } = await succeed('migrate', at('net.enc'), ...withKey(), ...naming(version), ...store());
    expect(stdout).toContain(`net@${version} is published`);
    expect(stderr).toContain('encrypting 100 %');
    expect(stderr).toMatch(/Nothing authenticated the artifact, and about 1 in 256 wrong keys goes unnoticed/);
    expect(stderr).toContain('Not signed');
    await expectModel(version);
  });

  it('takes parts, a digest, a signer and a name for the file', async () => {
    const version = newVersion();
    const parts = ['--small', at('net.small'), '--big', at('net.big')];
    const rest = ['--sha256', sha256, '--sign', at('signing.key'), '--file-name', 'net.onnx', '--max-bytes', '1000', '--json'];
    const { stdout, stderr } = await succeed('migrate', ...parts, ...withKey(), ...naming(version), ...store(), ...rest);
    expect(JSON.parse(stdout)).toMatchObject({ ref: `net@${version}`, smallBytes: 1000, state: 'released', source: 'checked' });
    expect(stderr).toContain('verifying 100 %');
    expect(stderr).not.toMatch(/Nothing authenticated|Not signed/);
    const info = JSON.parse((await succeed('inspect', at(`store/small/net/${version}`), '--json')).stdout) as Record<
      string,
      unknown
    >;
    expect(info).toMatchObject({ format: 'onnx', signatures: [{ role: 'publisher' }] });
    await expectModel(version);
  });

  it('writes a container file, over another one only with --force', async () => {
    const args = ['migrate', at('net.enc'), ...withKey(), ...naming('1'), '--out', at('net.mguard')];
    const { stdout } = await succeed(...args, '--json');
    expect(JSON.parse(stdout)).toMatchObject({ ref: 'net@1', file: at('net.mguard'), source: 'unauthenticated' });
    expect(await modelGuard(...args)).toMatchObject({ code: 6, stderr: expect.stringContaining('[ALREADY_EXISTS]') });
    expect((await succeed(...args, '--force')).stdout).toContain('net.mguard holds net@1');
    await succeed('decrypt', at('net.mguard'), at('net.plain'), '--identity', at('master.key'), '--unsigned', 'accept');
    expect(Buffer.compare(readFileSync(at('net.plain')), plain)).toBe(0);
  });

  it('derives keys; secrets come from files and the environment', async () => {
    vi.stubEnv('MODEL_GUARD_TEST_PASSWORD', 'a password');
    const hash = sha384('Azaion_', 'a fingerprint', 'h');
    const download = sha384('someone@example.com', 'a password', hash, 'd');
    const hex = createHash('sha384').update('r').digest('hex');
    const ways: readonly [string, readonly string[]][] = [
      [sha384('r'), ['--resource-key', '--salts', at('salts')]],
      [hex, ['--resource-key', '--salts', at('salts'), '--encoding', 'hex']],
      ['fragment 7', ['--archive-fragment-file', secret('fragment', 'fragment 7\n')]],
      [
        download,
        [
          ...['--download-key', '--email', `file:${secret('email', 'someone@example.com\n')}`],
          ...['--password', 'env:MODEL_GUARD_TEST_PASSWORD', '--hardware-hash', `file:${secret('hash', hash)}`],
          ...['--salts', at('salts')],
        ],
      ],
    ];
    for (const [keyString, flags] of ways) {
      const version = newVersion();
      writeFileSync(at('derived.enc'), sealLegacy(plain, keyString));
      await succeed('migrate', at('derived.enc'), ...flags, ...naming(version), ...store());
      await expectModel(version);
    }
    vi.unstubAllEnvs();
  });

  it("takes this machine's hardware hash where none is given", async () => {
    const hashing = vi.spyOn(LegacyKey, 'hardwareHash');
    const hash = sha384('Azaion_', 'this machine', 'h');
    hashing.mockImplementation(() => LegacyKey.fromKeyString({ text: hash }));
    writeFileSync(at('derived.enc'), sealLegacy(plain, sha384('a@b', 'c', hash, 'd')));
    const flags = ['--download-key', '--email', `file:${secret('a', 'a@b')}`, '--password', `file:${secret('b', 'c')}`];
    await succeed('migrate', at('derived.enc'), ...flags, '--salts', at('salts'), ...naming(newVersion()), ...store());
    expect(hashing).toHaveBeenCalledWith({ encoding: 'base64', salts: at('salts') });
    hashing.mockRestore();
  });

  it('publishes nothing that does not decrypt, or is something else', async () => {
    const before = readdirSync(at('store'), { recursive: true });
    const wrong = ['--key-file', secret('lucky.txt', luckyKey(artifact, KEY))];
    const rest = [...naming('refused'), ...store(), '--sha256', sha256];
    writeFileSync(at('short.enc'), artifact.subarray(0, 31));
    for (const args of [
      [at('net.enc'), ...wrong],
      [at('short.enc'), ...withKey()],
    ])
      expect(await modelGuard('migrate', ...args, ...rest)).toMatchObject({
        code: 4,
        stdout: '',
        stderr: expect.stringContaining('[LEGACY_FAILED]'),
      });
    expect(readdirSync(at('store'), { recursive: true })).toEqual(before);
  });

  it.each([
    ['no artifact', [], /both --small and --big/],
    ['half a pair', ['--small', 'x'], /both --small and --big/],
    ['an artifact and parts', ['x', '--small', 'x', '--big', 'y'], /both --small and --big/],
    ['no key', ['x'], /one of --key-file/],
    ['two keys', ['x', '--resource-key', '--key-file', 'y'], /one of --key-file/],
    ['a download key without a password', ['x', '--download-key', '--email', 'env:A'], /needs --email and --password/],
    ['an encoding that is none', ['x', '--resource-key', '--encoding', 'base32'], /base32/],
    ['a digest that is none', ['x', '--resource-key', '--sha256', 'abc'], /64 hex digits/],
    ['a split without stores', ['x', '--resource-key', '--out', 'y', '--ratio', '0.2'], /a container file is whole/],
    ['a file and a store', ['x', '--resource-key', '--out', 'y', '--store', 'z'], /exclude each other/],
  ])('refuses %s', async (_, args, message) => {
    const stores = args.includes('--out') ? [] : store();
    const result = await modelGuard('migrate', ...args, ...naming('1'), ...stores);
    expect(result).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(message) });
  });

  it('takes no secret on the command line, and repeats none', async () => {
    const flags = ['--download-key', '--email', 'someone@example.com', '--password', 'hunter2'];
    const { code, stderr } = await modelGuard('migrate', at('net.enc'), ...flags, ...naming('1'), ...store());
    expect([code, stderr]).toEqual([2, expect.stringMatching(/--email takes file:PATH or env:NAME, not the text itself/)]);
    expect(stderr).not.toMatch(/hunter2|someone/);
  });
});
