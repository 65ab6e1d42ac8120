/** `protect`, `load` and `rekey` with the words that scripts use. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { modelGuard, succeed } from '../../support/cli.js';
import { makeModels } from '../../support/cli-models.js';

const { at, base, device, plain, signer, signing, store } = await makeModels('cli-protect');

const load = (...args: string[]) => succeed('load', 'net@1', ...store, ...signer, ...args);

describe('protect and load', () => {
  it('publish a file and write it in the clear, because --out asks for it', async () => {
    const { stdout, stderr } = await succeed(
      ...['protect', at('net.onnx'), 'net@1', ...store, '--sign', at('signing.key')],
      ...['--recipient', device, '--recipient', at('master.key'), '--passphrase-file', at('pass.txt'), '--json'],
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
      ...['protect', at('net.onnx'), 'staged@1', ...store, '--recipient', device],
      ...['--resume', at('staging')],
    );
    expect(stderr).toMatch(/encrypting 100 %.*uploading 100 %/s);
    expect(readdirSync(at('staging'))).toEqual([]);
  });

  it('open with each identity, and with the signer as text, file or key file', async () => {
    const ways = [
      ['--identity', at('master.key'), '--signer', signing],
      ['--identity', at('device.key'), '--signer', at('signing.pub')],
      ['--passphrase-file', at('pass.txt'), '--signer', at('signing.key')],
      ['--identity', at('master.key'), '--unsigned', 'accept'],
    ];
    for (const way of ways) {
      const { bytes } = await succeed('load', 'net@1', ...store, ...way, '--out', '-');
      expect(Buffer.compare(bytes, plain)).toBe(0);
    }
  });

  it('replace a published version only with --force', async () => {
    const again = [
      'protect',
      at('net.onnx'),
      'net@1',
      ...store,
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
      await modelGuard('load', 'net@1', ...store, ...signer, '--identity', at('device.key'), '--out', at('net.out')),
    ).toMatchObject({ code: 6 });
    expect(readFileSync(at('net.out'))).toEqual(before);
    expect(readdirSync(base).filter((name) => name.startsWith('.tmp-'))).toEqual([]);
  });

  it('take folders, to new folders', async () => {
    await succeed('protect', at('net'), 'net@folder', '--recipient', at('device.key'), ...store);
    const args = ['load', 'net@folder', ...store, '--unsigned', 'accept', '--identity', at('device.key'), '--out'];
    await succeed(...args, at('net.folder'));
    expect(readFileSync(at('net.folder/deep/a'))).toEqual(Buffer.from(plain));
    expect(readFileSync(at('net.folder/b'), 'utf8')).toBe('b');
    expect(statSync(at('net.folder')).mode & 0o777).toBe(0o700);
    expect(await modelGuard(...args, '-')).toMatchObject({ code: 2, stdout: '' });
    expect(await modelGuard(...args, at('net.folder'))).toMatchObject({ code: 6 });
  });

  it('work with a store for each part', async () => {
    const pair = ['--small-store', at('small'), '--big-store', at('big')];
    const { stderr } = await succeed('protect', at('net.onnx'), 'net@1', '--recipient', at('master.key'), ...pair);
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

describe('rekey', () => {
  it('replaces a published model', async () => {
    const before = readdirSync(at('store/big'));
    const { stdout } = await succeed(
      'rekey',
      'net@1',
      ...store,
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
    expect(await modelGuard('load', 'net@1', ...store, ...signer, '--identity', at('device.key'), '--out', '-')).toMatchObject({
      code: 5,
    });
    const { bytes } = await load('--identity', at('master.key'), '--out', '-');
    expect(Buffer.compare(bytes, plain)).toBe(0);
  });
});

describe('protect refused', () => {
  it('a name out of the grammar gets a proposal', async () => {
    const result = await modelGuard('protect', at('net.onnx'), 'My Net@1', '--recipient', at('master.key'), ...store);
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('"my-net"') });
  });
});
