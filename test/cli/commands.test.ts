/** Every command with the words that scripts use. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { modelGuard, succeed } from '../support/cli.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('cli');
const at = (name: string): string => path.join(base, name);
const random = seeded('command line');
const plain = random.bytes(300_000);
const signer: string[] = [];
const text = { device: '', signing: '' };

beforeAll(async () => {
  writeFileSync(at('net.onnx'), plain);
  mkdirSync(at('net/deep'), { recursive: true });
  writeFileSync(at('net/deep/a'), plain);
  writeFileSync(at('net/b'), 'b');
  writeFileSync(at('pass.txt'), 'correct horse\n', { mode: 0o600 });
  await succeed('keygen', '--out', at('master.key'));
  text.device = (await succeed('keygen', '--type', 'device', '--out', at('device.key'))).stdout.trim();
  text.signing = (await succeed('keygen', '--type', 'signing', '--out', at('signing.key'))).stdout.trim();
  writeFileSync(at('device.pub'), `${text.device}\n`);
  writeFileSync(at('signing.pub'), `${text.signing}\n`);
  signer.push('--signer', text.signing);
});

const store = () => ['--store', at('store')];
const load = (...args: string[]) => succeed('load', 'net@1', ...store(), ...signer, ...args);

describe('keygen', () => {
  it('prints the public part alone, and writes a private file', () => {
    expect(text.device).toMatch(/^mgd1:[A-Za-z0-9_-]{86}$/);
    expect(text.signing).toMatch(/^mgs1:[A-Za-z0-9_-]{43}$/);
    for (const file of ['master.key', 'device.key', 'signing.key']) expect(statSync(at(file)).mode & 0o777).toBe(0o600);
  });

  it('prints no key material', async () => {
    const { stdout, stderr } = await succeed('keygen', '--out', at('secret.key'));
    const [, secret = ''] = readFileSync(at('secret.key'), 'utf8').split('\n');
    expect(stdout + stderr).not.toContain(secret);
  });

  it('refuses to overwrite', async () => {
    const before = readFileSync(at('master.key'));
    expect(await modelGuard('keygen', '--out', at('master.key'))).toMatchObject({
      code: 6,
      stderr: expect.stringContaining('[ALREADY_EXISTS]'),
    });
    expect(readFileSync(at('master.key'))).toEqual(before);
  });

  it('writes JSON for machines', async () => {
    const { stdout } = await succeed('keygen', '--type', 'signing', '--out', at('json.key'), '--json');
    expect(JSON.parse(stdout)).toEqual({ type: 'signing', file: at('json.key'), publicKey: expect.stringMatching(/^mgs1:/) });
  });
});

describe('protect and load', () => {
  it('publish a file and write it in the clear, because --out asks for it', async () => {
    const { stdout, stderr } = await succeed(
      ...['protect', at('net.onnx'), '--name', 'net', '--model-version', '1', ...store(), '--sign', at('signing.key')],
      ...['--recipient', text.device, '--recipient', at('master.key'), '--passphrase-file', at('pass.txt'), '--json'],
    );
    expect(JSON.parse(stdout)).toMatchObject({ ref: 'net@1', smallBytes: 3072, state: 'released' });
    expect(stderr).toContain('encrypting 100 %');
    const loaded = await load('--identity', at('device.key'), '--out', at('net.out'));
    expect(loaded.stderr).toMatch(/Plaintext leaves protected memory, because --out asks for it/);
    expect(readFileSync(at('net.out'))).toEqual(Buffer.from(plain));
    expect(statSync(at('net.out')).mode & 0o777).toBe(0o600);
  });

  it('stage where --resume says, and leave nothing there', async () => {
    const { stderr } = await succeed(
      ...['protect', at('net.onnx'), '--name', 'staged', '--model-version', '1', ...store(), '--recipient', text.device],
      ...['--resume', at('staging')],
    );
    expect(stderr).toMatch(/encrypting 100 %.*uploading 100 %/s);
    expect(readdirSync(at('staging'))).toEqual([]);
  });

  it('open with each identity, and with the signer as text, file or key file', async () => {
    const ways = [
      ['--identity', at('master.key'), '--signer', text.signing],
      ['--identity', at('device.key'), '--signer', at('signing.pub')],
      ['--passphrase-file', at('pass.txt'), '--signer', at('signing.key')],
      ['--identity', at('master.key'), '--unsigned', 'accept'],
    ];
    for (const way of ways) {
      const { bytes } = await succeed('load', 'net@1', ...store(), ...way, '--out', '-');
      expect(Buffer.compare(bytes, plain)).toBe(0);
    }
  });

  it('replace a published version only with --force', async () => {
    const again = [
      'protect',
      at('net.onnx'),
      '--name',
      'net',
      '--model-version',
      '1',
      ...store(),
      '--recipient',
      at('device.pub'),
      '--recipient',
      at('master.key'),
      '--sign',
      at('signing.key'),
    ];
    expect(await modelGuard(...again)).toMatchObject({ code: 6, stderr: expect.stringContaining('[ALREADY_EXISTS]') });
    await succeed(...again, '--force', '--max-bytes', '1000', '--ratio', '0.2');
    expect(statSync(at('store/small/net/1')).size).toBe(1000);
    await load('--identity', at('device.key'), '--out', at('net.again'));
  });

  it('refuse to overwrite what --out names, and leave nothing', async () => {
    const before = readFileSync(at('net.out'));
    expect(
      await modelGuard('load', 'net@1', ...store(), ...signer, '--identity', at('device.key'), '--out', at('net.out')),
    ).toMatchObject({ code: 6 });
    expect(readFileSync(at('net.out'))).toEqual(before);
    expect(readdirSync(base).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
  });

  it('take folders, to new folders', async () => {
    await succeed(
      'protect',
      at('net'),
      '--name',
      'net',
      '--model-version',
      'folder',
      '--recipient',
      at('device.key'),
      ...store(),
    );
    const args = ['load', 'net@folder', ...store(), '--unsigned', 'accept', '--identity', at('device.key'), '--out'];
    await succeed(...args, at('net.folder'));
    expect(readFileSync(at('net.folder/deep/a'))).toEqual(Buffer.from(plain));
    expect(readFileSync(at('net.folder/b'), 'utf8')).toBe('b');
    expect(statSync(at('net.folder')).mode & 0o777).toBe(0o700);
    expect(await modelGuard(...args, '-')).toMatchObject({ code: 2, stdout: '' });
    expect(await modelGuard(...args, at('net.folder'))).toMatchObject({ code: 6 });
  });

  it('work with a store for each part', async () => {
    const pair = ['--small-store', at('small'), '--big-store', at('big')];
    const { stderr } = await succeed(
      'protect',
      at('net.onnx'),
      '--name',
      'net',
      '--model-version',
      '1',
      '--recipient',
      at('master.key'),
      ...pair,
    );
    expect(stderr).toContain('Not signed');
    expect([readdirSync(at('small')), readdirSync(at('big'))]).toEqual([['small'], ['big']]);
    const { bytes } = await succeed(
      'load',
      'net@1',
      ...pair,
      '--unsigned',
      'accept',
      '--identity',
      at('master.key'),
      '--out',
      '-',
    );
    expect(Buffer.compare(bytes, plain)).toBe(0);
  });
});

describe('encrypt and decrypt', () => {
  it('take a file through one container', async () => {
    const { stdout } = await succeed(
      'encrypt',
      at('net.onnx'),
      at('net.mguard'),
      '--recipient',
      at('master.key'),
      '--sign',
      at('signing.key'),
      '--json',
    );
    expect(JSON.parse(stdout)).toMatchObject({ ref: 'net.onnx@0', file: at('net.mguard') });
    await succeed('decrypt', at('net.mguard'), at('net.decrypted'), '--identity', at('master.key'), ...signer);
    expect(readFileSync(at('net.decrypted'))).toEqual(Buffer.from(plain));
  });

  it('take a name and a version', async () => {
    const { stdout } = await succeed(
      'encrypt',
      at('net.onnx'),
      at('named.mguard'),
      '--recipient',
      at('master.key'),
      '--name',
      'n',
      '--model-version',
      'v',
    );
    expect(stdout).toContain('holds n@v');
  });
});

describe('split and merge', () => {
  it('cut a container in two and give it back', async () => {
    const parts = ['--small', at('net.small'), '--big', at('net.big')];
    await succeed('split', at('net.mguard'), ...parts);
    expect(statSync(at('net.big.tree')).size).toBe(32);
    expect(JSON.parse((await succeed('merge', at('merged.mguard'), ...parts, '--json')).stdout)).toMatchObject({
      file: at('merged.mguard'),
    });
    expect(readFileSync(at('merged.mguard'))).toEqual(readFileSync(at('net.mguard')));
    expect(await modelGuard('split', at('net.mguard'), ...parts)).toMatchObject({ code: 6 });
    await succeed('split', at('net.mguard'), ...parts, '--force', '--max-bytes', '0');
    expect(await modelGuard('merge', at('x.mguard'), '--small', at('net.small'), '--big', at('net.big.tree'))).toMatchObject({
      code: 4,
    });
  });
});

describe('inspect', () => {
  it('shows people what is in it', async () => {
    const { stdout } = await succeed('inspect', at('net.small'));
    for (const part of [
      'net.onnx@0',
      '(small part)',
      'header ',
      'Recipients (1)',
      'master',
      'Signatures (not verified here',
      'big part',
    ])
      expect(stdout).toContain(part);
    expect((await succeed('inspect', at('net.mguard'))).stdout).toContain('(container)');
  });

  it('gives machines the same as JSON', async () => {
    const info = JSON.parse((await succeed('inspect', at('net.mguard'), '--json')).stdout) as Record<string, unknown>;
    expect(info).toMatchObject({
      name: 'net.onnx',
      version: '0',
      kind: 'container',
      slots: [{ type: 'master' }],
      signatures: [{ role: 'publisher' }],
    });
  });
});

describe('verify', () => {
  it('says which was checked', async () => {
    expect((await succeed('verify', at('net.mguard'), ...signer)).stdout).toContain('it is the one that was signed');
    expect((await succeed('verify', at('net.small'), ...signer)).stdout).toContain('not checked');
    const stored = await succeed('verify', 'net@1', ...signer, ...store(), '--json');
    expect(JSON.parse(stored.stdout)).toMatchObject({ ref: 'net@1', signature: 'checked', payload: 'checked' });
  });

  it('refuses what another publisher signed', async () => {
    await succeed('keygen', '--type', 'signing', '--out', at('other.key'));
    expect(await modelGuard('verify', at('net.mguard'), '--signer', at('other.key'))).toMatchObject({
      code: 4,
      stderr: expect.stringContaining('[SIGNATURE_INVALID]'),
    });
  });
});

describe('rewrap and rekey', () => {
  it('rewrap gives a small part to others', async () => {
    await succeed(
      'rewrap',
      at('net.small'),
      at('for-device.small'),
      '--identity',
      at('master.key'),
      '--recipient',
      at('device.pub'),
    );
    await succeed('merge', at('for-device.mguard'), '--small', at('for-device.small'), '--big', at('net.big'));
    await succeed('decrypt', at('for-device.mguard'), at('for-device.onnx'), '--identity', at('device.key'), ...signer);
    expect(
      await modelGuard('decrypt', at('for-device.mguard'), at('x'), '--identity', at('master.key'), ...signer),
    ).toMatchObject({ code: 5 });
    const self = [
      'rewrap',
      at('for-device.small'),
      at('for-device.small'),
      '--identity',
      at('device.key'),
      '--recipient-passphrase-file',
      at('pass.txt'),
    ];
    expect(await modelGuard(...self)).toMatchObject({ code: 6 });
    await succeed(...self, '--force');
  });

  it('rekey replaces a published model', async () => {
    const before = readdirSync(at('store/big'));
    const { stdout } = await succeed(
      'rekey',
      'net@1',
      ...store(),
      ...signer,
      '--identity',
      at('master.key'),
      '--recipient',
      at('master.key'),
      '--sign',
      at('signing.key'),
      '--json',
    );
    expect(before.join()).not.toContain((JSON.parse(stdout) as { payloadId: string }).payloadId);
    expect(await modelGuard('load', 'net@1', ...store(), ...signer, '--identity', at('device.key'), '--out', '-')).toMatchObject({
      code: 5,
    });
    const { bytes } = await load('--identity', at('master.key'), '--out', '-');
    expect(Buffer.compare(bytes, plain)).toBe(0);
  });
});

describe('refused', () => {
  it('no signer and no word that it may be unsigned', async () => {
    const result = await modelGuard('decrypt', at('net.mguard'), at('x'), '--identity', at('master.key'));
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('[VERIFIER_REQUIRED]') });
  });

  it('a name out of the grammar gets a proposal', async () => {
    const result = await modelGuard(
      'protect',
      at('net.onnx'),
      '--name',
      'My Net',
      '--model-version',
      '1',
      '--recipient',
      at('master.key'),
      ...store(),
    );
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('"my-net"') });
  });

  it('a signing key where something is opened or encrypted', async () => {
    expect(await modelGuard('decrypt', at('net.mguard'), at('x'), '--identity', at('signing.key'), ...signer)).toMatchObject({
      code: 5,
      stderr: expect.stringContaining('[KEY_TYPE_WRONG]'),
    });
    expect(await modelGuard('encrypt', at('net.onnx'), at('x'), '--recipient', at('signing.key'))).toMatchObject({ code: 5 });
    expect(
      await modelGuard('encrypt', at('net.onnx'), at('x'), '--recipient', at('master.key'), '--sign', at('master.key')),
    ).toMatchObject({ code: 5 });
  });
});
