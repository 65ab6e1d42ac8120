/** `key show`, and which keys NO_MATCHING_IDENTITY names. If these fail, a person cannot tell which of several key files fits. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { SEALED_KEY } from '../../../reference/machine-vector.js';
import { modelGuard, succeed } from '../../../support/cli.js';
import { temporaryFolder } from '../../../support/temp.js';

const base = temporaryFolder('key-show');
const at = (name: string): string => path.join(base, name);
const made = { device: '', signing: '' };

/** docs/format.md, section 6: the first 8 bytes of SHA-256 of the label and the X25519 or Ed25519 key. */
const idOf = (publicKey: string): string =>
  createHash('sha256')
    .update('model-guard/v1/id')
    .update(Buffer.from(publicKey.slice('mgd1:'.length), 'base64url').subarray(0, 32))
    .digest('hex')
    .slice(0, 16);

beforeAll(async () => {
  await succeed('keygen', '--out', at('master.key'));
  made.device = (await succeed('keygen', '--type', 'device', '--out', at('device.key'))).stdout.trim();
  made.signing = (await succeed('keygen', '--type', 'signing', '--out', at('signing.key'))).stdout.trim();
  writeFileSync(at('device.pub'), `${made.device}\n`);
  writeFileSync(at('net.onnx'), 'a model');
});

const show = async (name: string) => JSON.parse((await succeed('key', 'show', at(name), '--json')).stdout);

describe('key show', () => {
  it.each([
    ['device.key', 'device', 'device'],
    ['signing.key', 'signing', 'signing'],
  ] as const)('of %s tells its public key and its ids', async (name, type, key) => {
    const publicKey = made[key];
    const fingerprint = expect.stringMatching(/^([0-9a-f]{4} ){9}[0-9a-f]{4}$/);
    expect(await show(name)).toEqual({ file: at(name), type, sealed: false, publicKey, keyId: idOf(publicKey), fingerprint });
  });

  it('of a master key tells its type alone', async () => {
    expect(await show('master.key')).toEqual({ file: at('master.key'), type: 'master', sealed: false });
    expect((await succeed('key', 'show', at('master.key'))).stdout).toBe('  type    master\n  sealed  no\n');
  });

  it('of a public key tells the same ids as of its key file', async () => {
    const { keyId, fingerprint } = await show('device.key');
    expect(await show('device.pub')).toMatchObject({
      type: 'public keys of a device',
      publicKey: made.device,
      keyId,
      fingerprint,
    });
  });

  it('of a key that another machine sealed tells that it is sealed, and no public key', async () => {
    writeFileSync(at('sealed.key'), SEALED_KEY, { mode: 0o600 });
    const closed = expect.stringMatching(/^HARDWARE_/);
    expect(await show('sealed.key')).toEqual({ file: at('sealed.key'), type: 'device', sealed: true, closed });
  });

  it.each([
    ['nothing', 'nowhere.key', 6, 'NOT_FOUND'],
    ['no key', 'net.onnx', 5, 'KEY_INVALID'],
  ])('of a file that holds %s is an error', async (_, name, code, expected) => {
    const { code: exit, stderr } = await modelGuard('key', 'show', at(name));
    expect([exit, stderr]).toEqual([code, expect.stringContaining(`[${expected}]`)]);
  });
});

describe('NO_MATCHING_IDENTITY', () => {
  it('names the keys that a container is for, and those that were given', async () => {
    const { stdout } = await succeed('keygen', '--type', 'device', '--out', at('wrong.key'));
    const recipients = ['--recipient', made.device, '--recipient', at('master.key')];
    await succeed('encrypt', at('net.onnx'), at('net.mguard'), '--ref', 'net@3', ...recipients);
    const { code, stderr } = await modelGuard(
      ...['decrypt', at('net.mguard'), '-', '--identity', at('wrong.key'), '--unsigned', 'accept'],
    );
    expect([code, stderr]).toEqual([
      5,
      `model-guard: None of the identities opens net@3: it is for a device key ${idOf(made.device)}, a master key; given was a device key ${idOf(stdout.trim())}. Give the identity of one of its recipients; \`model-guard key show FILE\` prints the id of a key. [NO_MATCHING_IDENTITY]\n`,
    ]);
  });
});
