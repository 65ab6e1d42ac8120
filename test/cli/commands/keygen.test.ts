/** Key files of `keygen`. If these fail, a secret is printed, or a key is lost. */
import { readFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { modelGuard, succeed } from '../../support/cli.js';
import { makeModels } from '../../support/cli-models.js';

const { at, device, signing } = await makeModels('cli-keygen');

describe('keygen', () => {
  it('prints the public part alone, and writes a private file', () => {
    expect(device).toMatch(/^mgd1:[A-Za-z0-9_-]{86}$/);
    expect(signing).toMatch(/^mgs1:[A-Za-z0-9_-]{43}$/);
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
