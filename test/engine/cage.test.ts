/**
 * A runtime whose arrays must lie in memory of its own, such as Electron; the test's addon answers as there. If this fails, a model
 * cannot be used there at all, or copies of it outlive it.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { decrypt, encrypt, type GuardedModel, MasterKey } from '../../src/index.js';
import { useNativeAddon } from '../../src/native/addon.js';
import { machineAddon } from '../support/machine-addon.js';

const weights = Buffer.alloc(3 * 1024 * 1024, 'weights');
let model: GuardedModel;

beforeAll(() => {
  useNativeAddon(machineAddon);
  process.env.MODEL_GUARD_TEST_CAGE = '1';
});

beforeEach(async () => {
  const key = MasterKey.generate();
  const sealed = await encrypt(weights, { name: 'm', version: '1', recipients: [key] });
  model = await decrypt(sealed, { identities: [key], unsigned: 'accept' });
});

describe('in a runtime that shows no memory but its own', () => {
  const refused = {
    code: 'LIMIT_EXCEEDED',
    message: expect.stringMatching(/shows no memory but its own.*read\(offset, length\)/),
  };

  it('bytes say so, and name read', async () => {
    expect(() => model.bytes).toThrow(expect.objectContaining(refused));
    await expect(model.use(() => 'read')).rejects.toMatchObject(refused);
  });

  it('read copies any range, and dispose wipes the copies', async () => {
    const [all, part] = [await model.read(0, weights.length), await model.read(5, 9)];
    expect(weights.equals(all)).toBe(true);
    expect(Buffer.from(part).toString()).toBe('tsweights');
    model.dispose();
    expect(weights.length).toBe(all.length);
    expect([...all, ...part].some((byte) => byte !== 0)).toBe(false);
    await expect(model.read(0, 1)).rejects.toMatchObject({ code: 'DISPOSED' });
  });

  it('dispose wipes a copy of which only a view of another type is left', async () => {
    const view = await model.read(0, 1024).then(({ buffer }) => new Uint32Array(buffer));
    expect(view[0]).not.toBe(0);
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    model.dispose();
    expect(view.some((word) => word !== 0)).toBe(false);
  });

  it('a read under way at dispose gives nothing', async () => {
    const read = model.read(0, weights.length);
    model.dispose();
    await expect(read).rejects.toMatchObject({ code: 'DISPOSED' });
  });
});
