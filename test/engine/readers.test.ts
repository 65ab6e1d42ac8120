/** Readers of a model that outlive it. If this fails, `dispose()` ends the process of a user, or takes the bytes from a reader it knows. */
import { promisify } from 'node:util';
import { gunzipSync, gzip } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decrypt, encrypt, type GuardedModel, MasterKey } from '../../src/index.js';
import { startChild } from '../support/children.js';
import { failureOf } from '../support/failures.js';
import { seeded } from '../support/seed.js';

const key = MasterKey.generate();
const plain = seeded('readers').bytes(3_000_000);
const sealed = encrypt(plain, { name: 'net', version: '1', recipients: [key] });
const open = async (): Promise<GuardedModel> => decrypt(await sealed, { identities: [key], unsigned: 'accept' });
const isPlain = (bytes: Uint8Array): boolean => Buffer.compare(bytes, plain) === 0;
const isWiped = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** Holds a reader in a model until it is let go. */
function heldReader(model: GuardedModel) {
  let letGo = (): void => {};
  const released = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let seen: Uint8Array | undefined;
  const reading = model.use(async (bytes) => {
    seen = bytes;
    await released;
    return isPlain(bytes);
  });
  return { reading, letGo, bytes: seen as unknown as Uint8Array };
}

describe('a reader that is not known', () => {
  it.each([100_000, 1_000_000])(
    'on a thread of Node reads on where the model of %i bytes is disposed of, and the process lives',
    async (size) => {
      const child = startChild('foreign-readers.ts', { args: [String(size), '15'], nodeOptions: ['--expose-gc'] });
      expect(await child.line()).toBe('done 60');
      expect(await child.ended).toMatchObject({ code: 0, signal: null, stderr: '' });
    },
  );
});

describe('a reader in use()', () => {
  it('has the whole model, however early it is disposed of', async () => {
    const model = await open();
    const packing = model.use((bytes) => promisify(gzip)(bytes, { level: 1 }));
    model.dispose();
    expect(isPlain(gunzipSync(await packing))).toBe(true);
  });

  it('keeps the bytes until it is done, and none comes in after dispose()', async () => {
    const model = await open();
    const [one, other] = [heldReader(model), heldReader(model)];
    model.dispose();
    expect((await failureOf(() => model.use(() => 0))).code).toBe('DISPOSED');
    one.letGo();
    expect(await one.reading).toBe(true);
    expect(isPlain(other.bytes)).toBe(true);
    other.letGo();
    expect(await other.reading).toBe(true);
    expect(isWiped(other.bytes)).toBe(true);
  });

  it('is waited for by asyncDispose', async () => {
    const model = await open();
    const held = heldReader(model);
    const wiped = model[Symbol.asyncDispose]().then(() => isWiped(held.bytes));
    expect(isPlain(held.bytes)).toBe(true);
    held.letGo();
    expect(await held.reading).toBe(true);
    expect(await wiped).toBe(true);
  });

  it('that throws leaves the model, and its error reaches the caller', async () => {
    const model = await open();
    const error = new Error('of the reader');
    const thrown = model.use(() => {
      throw error;
    });
    await expect(thrown).rejects.toBe(error);
    const { bytes } = model;
    await model[Symbol.asyncDispose]();
    expect(isWiped(bytes)).toBe(true);
  });

  it('must be a function', async () => {
    using model = await open();
    expect(await failureOf(() => model.use('bytes' as never))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
