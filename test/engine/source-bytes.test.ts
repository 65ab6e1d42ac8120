/** Models that are given as bytes. If this fails, the caller's own array is changed, or what is published is not what was given. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { decryptFile, encryptFile, fileStore, load, MasterKey, memoryStore, protect } from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('source-bytes');
const at = (name: string): string => path.join(base, name);
const plain = seeded('a model of bytes').bytes(200_003);
const master = MasterKey.generate();
const opening = { identities: [master], unsigned: 'accept' } as const;
const options = { name: 'net', version: '1', recipients: [master] };

describe('bytes', () => {
  it('are published as they are when the call is made, as the file `model`, and stay the caller’s', async () => {
    const to = memoryStore();
    const given = Buffer.from(plain);
    const publishing = protect(given, { ...options, to });
    given.fill(7);
    await publishing;
    using model = await load('net@1', { from: to, ...opening });
    expect(Buffer.compare(model.bytes, plain)).toBe(0);
    expect([[...model.files.keys()], model.metadata.format]).toEqual([['model'], 'unknown']);
    expect(
      given.every((byte) => byte === 7),
      'the caller’s array was written to',
    ).toBe(true);
  });

  it('are encrypted into a container file', async () => {
    const sealed = await encryptFile(plain, at('net.mguard'), { recipients: [master], format: 'onnx' });
    expect(sealed).toMatchObject({ ref: 'model@0', bytes: readFileSync(at('net.mguard')).length });
    using model = await decryptFile(at('net.mguard'), opening);
    expect([Buffer.compare(model.bytes, plain), model.metadata.format]).toEqual([0, 'onnx']);
  });

  it('are refused where there are none, and where a later run would have to find them again', async () => {
    const to = fileStore(at('store'));
    expect(await failureOf(() => protect(new Uint8Array(), { ...options, to }))).toMatchObject({ code: 'SOURCE_EMPTY' });
    expect(await failureOf(() => protect(plain, { ...options, to, resume: at('staging') }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('options.resume: wants a source on the disk'),
    });
    const shared = new Uint8Array(new SharedArrayBuffer(8));
    expect(await failureOf(() => protect(shared, { ...options, to }))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
