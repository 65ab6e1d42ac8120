/** `split`, `merge`, `inspect`, `verify` and `rewrap` of one container, with the words that scripts use. */
import { readFileSync, statSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { modelGuard, succeed } from '../../support/cli.js';
import { makeModels } from '../../support/cli-models.js';

const { at, signer, store } = await makeModels('cli-split');

beforeAll(async () => {
  const sealing = ['--recipient', at('master.key'), '--sign', at('signing.key')];
  await succeed('encrypt', at('net.onnx'), at('net.mguard'), ...sealing);
  await succeed('protect', at('net.onnx'), 'net@1', ...sealing, ...store);
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
    const stored = await succeed('verify', 'net@1', ...signer, ...store, '--json');
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

describe('rewrap', () => {
  it('gives a small part to others', async () => {
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
});
