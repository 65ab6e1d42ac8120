/** `encrypt` and `decrypt` with the words that scripts use. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { modelGuard, succeed } from '../../support/cli.js';
import { makeModels } from '../../support/cli-models.js';

const { at, plain, signer } = await makeModels('cli-encrypt');

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
      '--ref',
      'n@v',
    );
    expect(stdout).toContain('holds n@v');
  });
});

describe('refused', () => {
  it('no signer and no word that it may be unsigned', async () => {
    const result = await modelGuard('decrypt', at('net.mguard'), at('x'), '--identity', at('master.key'));
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('[VERIFIER_REQUIRED]') });
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
