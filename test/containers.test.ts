/** Containers in memory and in files: encrypt, decrypt, split, merge, inspect, verify. */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  DeviceKey,
  decrypt,
  decryptFile,
  encrypt,
  encryptFile,
  inspect,
  MasterKey,
  memoryStore,
  merge,
  mergeFiles,
  protect,
  SigningKey,
  split,
  splitFile,
  verify,
} from '../src/index.js';
import { failureOf } from './support/failures.js';
import { isPlaintextRegion, mappings, readMapping } from './support/process-memory.js';
import { seeded } from './support/seed.js';
import { skipTest } from './support/shared.js';
import { temporaryFolder } from './support/temp.js';

const base = temporaryFolder('containers');
const at = (name: string): string => path.join(base, name);
const random = seeded('containers');
const master = MasterKey.generate();
const device = DeviceKey.generate();
const signer = SigningKey.generate();
const verifier = signer.publicKey;
const plain = random.bytes(200_001);
const sealing = { recipients: [master, device], signer };
const opening = { identities: [master], verifier };
const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
writeFileSync(at('My Net.onnx'), plain);
/** The plaintext regions of this process that hold these bytes, by address. */
function regionsWith(bytes: Uint8Array): readonly number[] {
  const found: number[] = [];
  for (const mapping of mappings(process.pid).filter(isPlaintextRegion))
    readMapping(process.pid, mapping, bytes.length - 1, (piece) => {
      const at = Buffer.from(piece.buffer, piece.byteOffset, piece.length).indexOf(bytes);
      if (at !== -1) found.push(mapping.start);
    });
  return found;
}
const leftovers = (): string[] => readdirSync(base).filter((name) => name.startsWith('.tmp-'));

describe('encrypt and decrypt', () => {
  it.each([1, 16_383, 16_384, 16_385, 1_048_576, 1_048_577])('give %i bytes back', async (size) => {
    const bytes = random.bytes(size);
    using model = await decrypt(await encrypt(bytes, sealing), opening);
    expect(same(model.bytes, bytes)).toBe(true);
    expect([...model.files.keys()]).toEqual(['model']);
  });

  it('copy their input before they return', async () => {
    const bytes = Uint8Array.from(plain);
    const encrypting = encrypt(bytes, sealing);
    bytes.fill(0);
    const container = await encrypting;
    const mine = Uint8Array.from(container);
    const decrypting = decrypt(mine, opening);
    mine.fill(0);
    using model = await decrypting;
    expect(same(model.bytes, plain)).toBe(true);
  });

  it('copy a Buffer too, whose `slice` is a view, and leave it as it was', async () => {
    const buffer = Buffer.from(plain);
    const encrypting = encrypt(buffer, sealing);
    buffer.reverse();
    const container = Buffer.from(await encrypting);
    expect(same(buffer.reverse(), plain)).toBe(true);
    const { small, big } = await split(container);
    const decrypting = decrypt(container, opening);
    container.fill(0);
    using model = await decrypting;
    using merged = await decrypt(await merge(small, big), opening);
    for (const { bytes } of [model, merged]) expect(same(bytes, plain)).toBe(true);
  });

  it('check the reference, if one is given', async () => {
    const container = await encrypt(plain, { ...sealing, name: 'net', version: '3', format: 'onnx' });
    for (const ref of ['net@3', { name: 'net' }]) (await decrypt(container, { ...opening, ref })).dispose();
    for (const ref of ['net@4', 'other@3'])
      expect((await failureOf(() => decrypt(container, { ...opening, ref }))).code).toBe('REFERENCE_MISMATCH');
  });

  it('refuse no bytes', async () => {
    expect((await failureOf(() => encrypt(new Uint8Array(), sealing))).code).toBe('SOURCE_EMPTY');
    expect((await failureOf(() => decrypt(new Uint8Array(), opening))).code).toBe('NOT_A_CONTAINER');
  });

  it('refuse a small part alone, and say what to do', async () => {
    const { small } = await split(await encrypt(plain, sealing));
    expect(await failureOf(() => decrypt(small, opening))).toMatchObject({
      code: 'CONTAINER_TRUNCATED',
      message: expect.stringContaining('merge'),
    });
  });
});

describe('a loaded model', () => {
  const container = encrypt(plain, sealing);

  it('gives the same array every time, and ranges of it', async () => {
    using model = await decrypt(await container, opening);
    expect(model.bytes).toBe(model.bytes);
    expect(model.bytes.byteOffset).toBe(0);
    expect(model.bytes.buffer.byteLength).toBe(plain.length);
    expect(same(await model.read(100, 50), plain.subarray(100, 150))).toBe(true);
    expect(await model.read(plain.length, 0)).toHaveLength(0);
    for (const [offset, length] of [
      [plain.length, 1],
      [-1, 1],
      [0.5, 1],
      [0, plain.length + 1],
    ] as const)
      expect((await failureOf(() => model.read(offset, length))).code).toBe('INVALID_ARGUMENT');
  });

  it('holds nothing after dispose, which may be called again', async () => {
    const model = await decrypt(await container, opening);
    const { bytes } = model;
    const copy = await model.read(0, 100);
    model.dispose();
    model.dispose();
    for (const held of [bytes, copy]) expect(held.every((byte) => byte === 0)).toBe(true);
    expect((await failureOf(() => model.bytes)).code).toBe('DISPOSED');
    expect((await failureOf(() => model.read(0, 1))).code).toBe('DISPOSED');
    expect((await failureOf(() => model.protection)).code).toBe('DISPOSED');
    expect(model.metadata.name).toBe('model');
  });

  it('leaves zeros where the plaintext was: at once after dispose, though an array over it is still held', async (context) => {
    if (process.platform !== 'linux') skipTest(context, 'only Linux shows what lies in the memory of a process');
    const model = await decrypt(await container, opening);
    const held = [model.bytes, await model.read(0, 100)];
    const marker = plain.subarray(150_000, 150_032);
    const before = regionsWith(marker);
    expect(before, 'the plaintext is not seen in its region: the test proves nothing').toHaveLength(1);
    model.dispose();
    expect(regionsWith(marker)).toEqual([]);
    for (const array of held) expect(array.every((byte) => byte === 0)).toBe(true);
  });

  it('refuses reads in flight, and waits for them when disposed asynchronously', async () => {
    const model = await decrypt(await container, opening);
    const reading = Promise.allSettled(Array.from({ length: 8 }, () => model.read(0, plain.length)));
    await model[Symbol.asyncDispose]();
    for (const read of await reading) if (read.status === 'rejected') expect(read.reason).toMatchObject({ code: 'DISPOSED' });
  });

  it('says how its memory is protected', async () => {
    using model = await decrypt(await container, opening);
    expect(Object.values(model.protection).every((value) => typeof value === 'boolean')).toBe(true);
  });
});

describe('split and merge', () => {
  it('give the container back', async () => {
    const container = await encrypt(plain, sealing);
    for (const rule of [undefined, { maxBytes: 0 }, { maxBytes: 100_000, ratio: 0.9 }]) {
      const { small, big, tree } = await split(container, rule);
      expect(small.length + big.length).toBe(container.length);
      expect(tree).toHaveLength(32);
      expect(same(await merge(small, big), container)).toBe(true);
    }
  });

  it('refuse what does not belong together, and what was changed', async () => {
    const container = await encrypt(plain, sealing);
    const [one, other] = [await split(container), await split(await encrypt(plain, sealing))];
    expect((await failureOf(() => merge(one.small, other.big))).code).toBe('PARTS_MISMATCH');
    expect((await failureOf(() => merge(one.small, one.big.subarray(1)))).code).toBe('PARTS_MISMATCH');
    expect((await failureOf(() => merge(container, one.big))).code).toBe('PARTS_MISMATCH');
    container[container.length - 1] = (container.at(-1) ?? 0) ^ 1;
    expect((await failureOf(() => split(container))).code).toBe('DIGEST_MISMATCH');
  });
});

describe('files', () => {
  it('are encrypted to a container under their normalised name, and come back', async () => {
    const sealed = await encryptFile(at('My Net.onnx'), at('net.mguard'), sealing);
    expect(sealed).toMatchObject({ ref: 'my-net.onnx@0', bytes: statSync(at('net.mguard')).size });
    expect(statSync(at('net.mguard')).mode & 0o777).toBe(0o600);
    using model = await decryptFile(at('net.mguard'), opening);
    expect(same(model.bytes, plain)).toBe(true);
    expect(model.metadata).toMatchObject({ format: 'onnx', digest: sealed.digest, payloadId: sealed.payloadId });
  });

  it('are never replaced unless asked, and nothing is left after a failure', async () => {
    const before = readFileSync(at('net.mguard'));
    expect((await failureOf(() => encryptFile(at('My Net.onnx'), at('net.mguard'), sealing))).code).toBe('ALREADY_EXISTS');
    expect((await failureOf(() => encryptFile(at('My Net.onnx'), at('none/net.mguard'), sealing))).code).toBe('NOT_FOUND');
    const stopped = { ...sealing, signal: AbortSignal.abort('enough'), overwrite: true };
    expect((await failureOf(() => encryptFile(at('My Net.onnx'), at('net.mguard'), stopped))).code).toBe('ABORT_ERR');
    const stopping = new AbortController();
    const running = encryptFile(at('My Net.onnx'), at('net.mguard'), { ...sealing, signal: stopping.signal, overwrite: true });
    stopping.abort('enough');
    expect((await failureOf(() => running)).code).toBe('ABORT_ERR');
    expect(readFileSync(at('net.mguard'))).toEqual(before);
    expect(leftovers()).toEqual([]);
    await encryptFile(at('My Net.onnx'), at('net.mguard'), { ...sealing, overwrite: true });
    expect(readFileSync(at('net.mguard'))).not.toEqual(before);
  });

  it('are cut and joined', async () => {
    const parts = { small: at('net.small'), big: at('net.big') };
    const whole = readFileSync(at('net.mguard'));
    const { smallBytes, bigBytes } = await splitFile(at('net.mguard'), parts);
    expect([statSync(parts.small).size, statSync(parts.big).size, statSync(`${parts.big}.tree`).size]).toEqual([
      smallBytes,
      bigBytes,
      32,
    ]);
    await mergeFiles(parts, at('again.mguard'));
    expect(readFileSync(at('again.mguard'))).toEqual(whole);
    expect((await failureOf(() => splitFile(at('net.mguard'), parts))).code).toBe('ALREADY_EXISTS');
    expect((await failureOf(() => mergeFiles(parts, at('again.mguard')))).code).toBe('ALREADY_EXISTS');
    await splitFile(at('net.mguard'), parts, { overwrite: true, maxBytes: 50_000 });
    await mergeFiles(parts, at('again.mguard'), { overwrite: true });
    expect(readFileSync(at('again.mguard'))).toEqual(whole);
  });

  it('that are damaged or mixed up are refused, and nothing is left', async () => {
    const parts = { small: at('net.small'), big: at('net.big') };
    await encryptFile(at('My Net.onnx'), at('other.mguard'), sealing);
    const others = { small: at('other.small'), big: at('other.big') };
    await splitFile(at('other.mguard'), others, { maxBytes: 50_000 });
    expect((await failureOf(() => mergeFiles({ ...parts, big: others.big }, at('mixed.mguard')))).code).toBe('PARTS_MISMATCH');
    const damaged = readFileSync(at('net.mguard'));
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    writeFileSync(at('damaged.mguard'), damaged);
    const target = { small: at('damaged.small'), big: at('damaged.big') };
    expect((await failureOf(() => splitFile(at('damaged.mguard'), target))).code).toBe('DIGEST_MISMATCH');
    expect(readdirSync(base).filter((name) => /^(mixed|damaged\.(small|big))/.test(name))).toEqual([]);
    expect(leftovers()).toEqual([]);
  });
});

describe('inspect', () => {
  it('says of containers, small parts and stores what their headers say', async () => {
    const container = await encrypt(plain, { ...sealing, name: 'net', version: '3' });
    const info = await inspect(container);
    expect(info).toMatchObject({ kind: 'container', name: 'net', version: '3', format: 'unknown' });
    expect(info.headerBytes + info.payloadBytes).toBe(container.length);
    expect(info.slots).toEqual([
      { type: 'master', number: 2, critical: false },
      { type: 'x25519', number: 1, critical: false, keyId: expect.stringMatching(/^[0-9a-f]{16}$/) },
    ]);
    expect(info.signatures).toEqual([{ role: 'publisher', keyId: expect.stringMatching(/^[0-9a-f]{16}$/) }]);
    const { small, big } = await split(container);
    expect(await inspect(small)).toEqual({
      ...info,
      kind: 'small',
      parts: { smallBytes: small.length, bigBytes: big.length, bigName: `${info.payloadId}-${small.length - info.headerBytes}` },
    });
    writeFileSync(at('inspected.mguard'), container);
    expect(await inspect(at('inspected.mguard'))).toEqual(info);
    const from = memoryStore();
    await protect(at('My Net.onnx'), { name: 'net', version: '3', to: from, ...sealing });
    expect(await inspect({ ref: 'net@3', from })).toMatchObject({ kind: 'small', name: 'net', format: 'onnx' });
  });
});

describe('verify', () => {
  it('checks signature and payload, and says which', async () => {
    const container = await encrypt(plain, sealing);
    const { small } = await split(container);
    writeFileSync(at('signed.mguard'), container);
    const from = memoryStore();
    await protect(at('My Net.onnx'), { name: 'net', version: '3', to: from, ...sealing });
    for (const source of [container, at('signed.mguard'), { ref: 'net@3', from }])
      expect((await verify(source, { verifier })).payload).toBe('checked');
    expect((await verify(small, { verifier: [SigningKey.generate().publicKey, `${verifier}`] })).payload).toBe('absent');
  });

  it('refuses another publisher, no signature, and a changed payload', async () => {
    const container = await encrypt(plain, sealing);
    expect((await failureOf(() => verify(container, { verifier: SigningKey.generate().publicKey }))).code).toBe(
      'SIGNATURE_INVALID',
    );
    const unsigned = await encrypt(plain, { recipients: [master] });
    expect((await failureOf(() => verify(unsigned, { verifier }))).code).toBe('SIGNATURE_MISSING');
    container[container.length - 1] = (container.at(-1) ?? 0) ^ 1;
    expect((await failureOf(() => verify(container, { verifier }))).code).toBe('DIGEST_MISMATCH');
  });

  it('refuses a store that answers with another model, or that lost a part', async () => {
    const from = memoryStore();
    await protect(at('My Net.onnx'), { name: 'net', version: '3', to: from, ...sealing });
    await from.putSmall({ name: 'net', version: '4' }, await from.getSmall({ name: 'net', version: '3' }));
    expect((await failureOf(() => verify({ ref: 'net@4', from }, { verifier }))).code).toBe('REFERENCE_MISMATCH');
    expect((await failureOf(() => verify({ ref: 'net@3', from: { small: from, big: memoryStore() } }, { verifier }))).code).toBe(
      'NOT_FOUND',
    );
  });
});

describe('folders', () => {
  it('go into one container and come back', async () => {
    mkdirSync(at('folder/deep'), { recursive: true });
    writeFileSync(at('folder/deep/a'), plain);
    writeFileSync(at('folder/b'), 'b');
    await encryptFile(at('folder'), at('folder.mguard'), sealing);
    using model = await decryptFile(at('folder.mguard'), opening);
    expect([...model.files].map(([name, { size }]) => [name, size])).toEqual([
      ['b', 1],
      ['deep/a', plain.length],
    ]);
  });
});
