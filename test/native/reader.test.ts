/** Random access to a container on disk: what the reference sealed is read, and nothing that is not authentic. */
import { rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { NativeReader } from '../../src/native/binding.js';
import { call } from '../../src/native/index.js';
import { concat, same } from '../reference/bytes.js';
import { openContainer, sealContainer, splitContainer } from '../reference/container.js';
import { publicOf } from '../reference/primitives.js';
import { codeOf } from '../support/failures.js';
import { collectGarbage } from '../support/garbage.js';
import { type KnownKey, knownKeys, trust } from '../support/known-keys.js';
import { secretBytes } from '../support/process-memory.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('native-reader');
const random = seeded('native-reader');
const make = knownKeys(folder, random);
const none = new Uint8Array(0);

let master: KnownKey;
let signing: KnownKey;
beforeAll(async () => {
  [master, signing] = [await make('master'), await make('signing')];
});

describe('a reader', () => {
  const files = new Map([
    ['a/large', random.bytes(3_000_000)],
    ['b', none],
    ['c', random.bytes(16_384)],
    ['d', random.bytes(70_001)],
  ]);
  const names = [...files.keys()];
  let small: Uint8Array;
  let big: Uint8Array;
  let count = 0;
  beforeAll(() => {
    const made = sealContainer(files, {
      name: 'net',
      version: '1',
      recipients: [{ master: master.raw }],
      signer: signing.raw,
    });
    expect(openContainer(made, [{ master: master.raw }], {}).files.size).toBe(4);
    ({ small, big } = splitContainer(made));
  });
  const onDisk = (bytes: Uint8Array): string => {
    const file = path.join(folder, `${++count}.big`);
    writeFileSync(file, bytes);
    return file;
  };
  const reader = async (file: string, publishers: Uint8Array[], more: object = {}): Promise<NativeReader> => {
    const opened = await call((native) =>
      native.open({ small, identities: [master.handle], hardware: false, trust: trust(publishers) }),
    );
    return call(() => opened.reader({ file, ...more }, {}));
  };
  const publishers = (): Uint8Array[] => [publicOf('ed25519', signing.raw)];

  it('gives what the files hold, at any offset, with and without publishers to trust', async () => {
    const file = onDisk(big);
    for (const trusted of [[], publishers()]) {
      const from = await reader(file, trusted);
      expect(from.files).toEqual(names.map((name) => ({ path: name, size: files.get(name)?.length })));
      for (let round = 0; round < 60; round += 1) {
        const index = random.integer(names.length);
        const bytes = files.get(names[index] ?? '') ?? none;
        const offset = random.integer(bytes.length + 1);
        const length = random.integer(bytes.length - offset + 1);
        const piece = await call(() => from.read(index, offset, length));
        expect(same(piece, bytes.slice(offset, offset + length)), `${names[index]} ${offset}+${length}`).toBe(true);
      }
      const whole = await Promise.all(names.map((name, i) => from.read(i, 0, files.get(name)?.length ?? 0)));
      expect(whole.every((bytes, i) => same(bytes, files.get(names[i] ?? '') ?? none))).toBe(true);
      from.close();
    }
  });

  it('takes a big part that lies inside a file', async () => {
    const from = await reader(onDisk(concat(small, big)), publishers(), { fileOffset: small.length, sameContainer: true });
    expect(same(await from.read(2, 0, 16_384), files.get('c') ?? none)).toBe(true);
  });

  it('refuses what is not in a file, what is not a file, and everything once it is closed', async () => {
    const from = await reader(onDisk(big), []);
    for (const [index, offset, length] of [
      [4, 0, 0],
      [0, 3_000_001, 0],
      [0, 2_999_999, 2],
      [1, 0, 1],
      [-1, 0, 0],
      [0, 0.5, 1],
    ] as const)
      expect(await codeOf(() => call(() => from.read(index, offset, length)))).toBe('INVALID_ARGUMENT');
    const pending = from.read(0, 0, 3_000_000);
    from.close();
    from.close();
    expect(same(await pending, files.get('a/large') ?? none), 'a read in flight goes on').toBe(true);
    expect(await codeOf(() => call(() => from.read(0, 0, 1)))).toBe('DISPOSED');
    const opened = await call((native) => native.open({ small, identities: [master.handle], hardware: false, trust: trust() }));
    expect(await codeOf(() => call(() => opened.reader({ bytes: big }, {})))).toBe('INVALID_ARGUMENT');
    expect(await codeOf(() => call(() => opened.reader({ file: path.join(folder, 'none') }, {})))).toBe('NOT_FOUND');
  });

  it('has no keys left once it is closed', async () => {
    const file = onDisk(big);
    await collectGarbage();
    const before = secretBytes(process.pid);
    const from = await reader(file, []);
    expect(secretBytes(process.pid)).toBeGreaterThan(before);
    from.close();
    await collectGarbage();
    expect(secretBytes(process.pid)).toBe(before);
    expect(await codeOf(() => call(() => from.readGuarded(0, 0, 1, script(big))))).toBe('DISPOSED');
  });

  it('takes a file that it holds open, whatever becomes of its name and its times', async () => {
    const file = onDisk(big);
    const from = await reader(file, publishers(), { holdOpen: true });
    utimesSync(file, 1e9, 1e9);
    expect(same(await from.read(2, 0, 16_384), files.get('c') ?? none)).toBe(true);
    rmSync(file);
    expect(same(await from.read(2, 0, 16_384), files.get('c') ?? none)).toBe(true);
    from.close();
  });

  it('gives nothing of a part that was changed, cut, or is of another container', async () => {
    const changed = big.map((byte, i) => (i === 1_500_000 ? byte ^ 1 : byte));
    expect(await codeOf(() => reader(onDisk(changed), publishers()))).toBe('DIGEST_MISMATCH');
    const from = await reader(onDisk(changed), []);
    expect(await codeOf(() => call(() => from.read(0, 0, 3_000_000)))).toBe('INTEGRITY_FAILED');
    expect((await from.read(0, 0, 1_000_000)).length, 'other chunks are authentic').toBe(1_000_000);
    const end = big.map((byte, i) => (i === big.length - 1 ? byte ^ 1 : byte));
    expect(await codeOf(() => reader(onDisk(end), [])), 'the last chunk is checked first').toBe('INTEGRITY_FAILED');
    expect(await codeOf(() => reader(onDisk(big.slice(0, -1)), []))).toBe('PARTS_MISMATCH');
    expect(await codeOf(() => reader(onDisk(random.bytes(big.length)), []))).toBe('PARTS_MISMATCH');
  });

  /** The part as a script that counts what it gives. */
  const script = (bytes: Uint8Array, given = { bytes: 0 }) => ({
    size: bytes.length,
    read: async (offset: number, length: number) => {
      given.bytes += length;
      return bytes.slice(offset, offset + length);
    },
  });
  const openTrusted = () =>
    call((native) => native.open({ small, identities: [master.handle], hardware: false, trust: trust(publishers()) }));

  it('reads from a script into guarded memory, by a tree only what it touches', async () => {
    const tree = await call((native) => native.checkParts(small, { bytes: big }, {}));
    const given = { bytes: 0 };
    const from = await (await openTrusted()).reader({ ...script(big, given), tree }, {});
    expect(given.bytes, 'the last chunk and the batch of the manifest, twice').toBeLessThan(2.2 * 2 ** 20);
    given.bytes = 0;
    const large = files.get('a/large') ?? none;
    const piece = await from.readGuarded(0, 1_500_000, 77, script(big, given));
    expect(same(piece, large.slice(1_500_000, 1_500_077))).toBe(true);
    expect(piece.buffer.byteLength).toBe(77);
    expect(given.bytes).toBeLessThan(1.1 * 2 ** 20);
    expect((await from.readGuarded(1, 0, 0, script(big))).length).toBe(0);
    from.close();
    expect(piece.every((byte) => byte === 0)).toBe(true);
    expect(await codeOf(() => call(() => from.readGuarded(0, 0, 1, script(big))))).toBe('DISPOSED');
  });

  it('believes no tree but that of the digest', async () => {
    const tree = await call((native) => native.checkParts(small, { bytes: big }, {}));
    for (const forged of [tree.map((byte, i) => (i === 0 ? byte ^ 1 : byte)), tree.slice(1), concat(tree, tree)]) {
      const given = { bytes: 0 };
      const from = await (await openTrusted()).reader({ ...script(big, given), tree: forged }, {});
      expect(given.bytes, 'all of it was read').toBeGreaterThan(3_000_000);
      from.close();
    }
  });

  it('refuses damage where it reads it, and gives what the script rejects with', async () => {
    const tree = await call((native) => native.checkParts(small, { bytes: big }, {}));
    const from = await (await openTrusted()).reader({ ...script(big), tree }, {});
    const changed = script(big.map((byte, i) => (i === 1_500_000 ? byte ^ 1 : byte)));
    expect(await codeOf(() => call(() => from.readGuarded(0, 1_500_000, 1, changed)))).toBe('DIGEST_MISMATCH');
    const cut = new Error('cut');
    await expect(from.readGuarded(0, 1_500_000, 1, { size: big.length, read: () => Promise.reject(cut) })).rejects.toBe(cut);
    expect((await from.readGuarded(0, 1_500_000, 1, script(big))).length).toBe(1);
    expect(await codeOf(() => call(() => from.readGuarded(0, 0, 1, { bytes: big })))).toBe('INVALID_ARGUMENT');
    const pending = codeOf(() => call(() => from.readGuarded(0, 0, 3_000_000, script(big))));
    from.close();
    expect(await pending, 'a read in flight gives nothing any more').toBe('DISPOSED');
  });

  it('notices a file that changes under it, and can be cancelled while it checks', async () => {
    const file = onDisk(big);
    const from = await reader(file, publishers());
    const { atime, mtimeMs } = statSync(file);
    writeFileSync(file, big);
    // File systems count time in ticks, and this may all be within one.
    utimesSync(file, atime, (mtimeMs + 1000) / 1000);
    expect(await codeOf(() => call(() => from.read(2, 0, 10)))).toBe('SOURCE_CHANGED');
    const opened = await call((native) =>
      native.open({ small, identities: [master.handle], hardware: false, trust: trust(publishers()) }),
    );
    const control = call((native) => native.control());
    control.cancel();
    expect(await codeOf(() => call(() => opened.reader({ file }, { control })))).toBe('ABORT_ERR');
    const progress = call((native) => native.control());
    await call(() => opened.reader({ file }, { control: progress, threads: 1 }));
    expect(progress.done()).toBe(parsedSize());
  });
  const parsedSize = (): number => call((native) => native.inspect(small)).plaintextSize;
});
