/** Loading from afar: batches are checked against the publisher's tree as they come, and asked for once more where damaged. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { load, memoryStore, type OpenBigPart, type PartStore, protect } from '../../src/index.js';
import type { NativeControl, NativeModel, NativeSource } from '../../src/native/binding.js';
import { call } from '../../src/native/index.js';
import { concat, same } from '../reference/bytes.js';
import { openContainer, sealContainer, splitContainer } from '../reference/container.js';
import { reencrypt } from '../reference/forge.js';
import { SEALED, treeFile } from '../reference/payload.js';
import { publicOf } from '../reference/primitives.js';
import { failureOf } from '../support/failures.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { type KnownKey, knownKeys, trust } from '../support/known-keys.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('partial-tree');
const random = seeded('partial-tree');
const BATCH = 64 * SEALED;
type Read = NonNullable<NativeSource['read']>;

const files = new Map([
  ['a', random.bytes(2_500_000)],
  ['b', random.bytes(10_001)],
]);
let master: KnownKey;
let signing: KnownKey;
let container: Uint8Array;
let small: Uint8Array;
let big: Uint8Array;
let offset: number;
let tree: Uint8Array;
beforeAll(async () => {
  const make = knownKeys(folder, random);
  [master, signing] = [await make('master'), await make('signing')];
  const recipients = [{ master: master.raw }];
  container = sealContainer(files, { name: 'net', version: '1', recipients, signer: signing.raw });
  ({ small, big, offset } = splitContainer(container));
  tree = treeFile(concat(small.slice(small.length - offset), big));
});

/** Where chunk `k` begins in the big part. */
const chunkAt = (k: number): number => 56 + k * SEALED - offset;
const slices =
  (bytes: Uint8Array): Read =>
  async (from, length) =>
    bytes.slice(from, from + length);

interface Source extends Partial<NativeSource> {
  readonly control?: NativeControl;
  readonly threads?: number;
}
async function loaded(read: Read, { control, threads = 2, ...more }: Source = {}): Promise<NativeModel> {
  const publishers = [publicOf('ed25519', signing.raw)];
  const opened = await call((native) =>
    native.open({ small, identities: [master.handle], hardware: false, trust: trust(publishers) }),
  );
  return call(() => opened.load({ read, size: big.length, ...more }, { threads, control }));
}
/** `right`, or the code of the refusal. */
async function outcome(read: Read, source: Source = {}): Promise<string> {
  let model: NativeModel;
  try {
    model = await loaded(read, source);
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : `undocumented: ${String(error)}`;
  }
  const right = [...files.values()].every((bytes, index) => same(model.bytes(index), bytes));
  model.dispose();
  return right ? 'right' : 'WRONG BYTES';
}

describe('the stored tree', () => {
  it('of the publisher lets a load read every byte once, and none of them twice', async () => {
    for (const more of [{ tree }, {}]) {
      const asked: [number, number][] = [];
      const read: Read = (from, length) => {
        asked.push([from, length]);
        return slices(big)(from, length);
      };
      expect(await outcome(read, more)).toBe('right');
      asked.sort(([a], [b]) => a - b);
      let end = 0;
      for (const [from, length] of asked) {
        expect(from, 'the reads overlap or leave a hole').toBe(end);
        end = from + length;
      }
      expect(end).toBe(big.length);
    }
  });

  it('is ignored where a byte of it, or its length, is wrong', async () => {
    const positions = Array.from({ length: tree.length / 4 }, (_, i) => 4 * i + random.integer(4));
    const wrong: Uint8Array[] = positions.map((at) => tree.map((byte, i) => (i === at ? byte ^ random.mask() : byte)));
    wrong.push(tree.slice(1), tree.slice(32), concat(tree, tree.slice(0, 32)), random.bytes(tree.length), new Uint8Array(0));
    for (const one of wrong) expect(await outcome(slices(big), { tree: one })).toBe('right');
    const changed = big.map((byte, at) => (at === chunkAt(100) ? byte ^ 1 : byte));
    for (const one of wrong.slice(-8)) expect(await outcome(slices(changed), { tree: one })).toBe('INTEGRITY_FAILED');
  });

  it('of the publisher stops a model that somebody with the data key encrypted, at its first batch', async () => {
    const { dataKey, message } = openContainer(container, [{ master: master.raw }]);
    for (const [batch, at] of [
      [0, 20_000],
      [1, 64 * 16_384 + 5],
      [2, message.length - 1],
    ] as const) {
      const other = message.map((byte, i) => (i === at ? byte ^ 1 : byte));
      const forged = reencrypt(container, dataKey, other, { keepDigest: true });
      const parts = { small: forged.slice(0, small.length), big: forged.slice(small.length) };
      expect(same(parts.small, small), 'salt, commitment and header are the publisher’s').toBe(true);
      const asked: number[] = [];
      const read: Read = (from, length) => {
        asked.push(Math.floor((from + offset) / BATCH));
        return slices(parts.big)(from, length);
      };
      expect(await outcome(read, { tree, threads: 1 })).toBe('DIGEST_MISMATCH');
      expect(asked, 'each batch up to the wrong one, and that one once more').toEqual([...Array(batch + 1).keys(), batch]);
      const theirs = treeFile(concat(small.slice(small.length - offset), parts.big));
      for (const more of [{ tree: theirs }, {}]) expect(await outcome(read, more)).toBe('DIGEST_MISMATCH');
    }
  });

  it('must be bytes', async () => {
    const failure = failureOf(() => loaded(slices(big), { tree: 'tree' as unknown as Uint8Array }));
    expect((await failure).code).toBe('INVALID_ARGUMENT');
  });
});

describe('a store whose bytes arrive damaged', () => {
  const plain = random.bytes(2_200_000);
  let keys: Keyring;
  let store: PartStore;
  beforeAll(async () => {
    keys = await makeKeyring(folder, random);
    store = memoryStore();
    const source = path.join(folder, 'net.bin');
    writeFileSync(source, plain);
    await protect(source, { name: 'net', version: '1', to: store, recipients: [keys.master], signer: keys.signing });
  });

  /** The byte at `at` (from the end if negative) is wrong in the first `times` answers; `withTree` says whether there is a tree. */
  const damaging = (at: number, times: number, withTree: boolean): PartStore => ({
    getSmall: (...args) => store.getSmall(...args),
    putSmall: (...args) => store.putSmall(...args),
    putBig: (...args) => store.putBig(...args),
    list: (...args) => store.list(...args),
    collect: (...args) => store.collect(...args),
    openBig: async (...args): Promise<OpenBigPart> => {
      const part = await store.openBig(...args);
      const position = at < 0 ? part.size + at : at;
      let left = times;
      return {
        size: part.size,
        read: async (from, length) => {
          const bytes = (await part.read(from, length)) as Uint8Array;
          const copy = bytes.slice();
          if (left > 0 && from <= position && position < from + length) {
            left -= 1;
            copy[position - from] = (copy[position - from] ?? 0) ^ 1;
          }
          return copy;
        },
        tree: async () => (withTree ? part.tree() : undefined),
        close: () => part.close(),
      };
    },
  });

  it.for([
    ['the manifest, across both parts', 0],
    ['the first batch', 50_000],
    ['the second batch', BATCH + 100_000],
    ['the last byte', -1],
  ] as const)('once is asked again, twice is refused: %s', async ([, at]) => {
    for (const withTree of [true, false]) {
      for (const trusted of [{ verifier: keys.signing.publicKey }, { unsigned: 'accept' }] as const) {
        const options = { identities: [keys.master], ...trusted };
        using model = await load('net@1', { from: damaging(at, 1, withTree), ...options });
        expect(same(model.bytes, plain)).toBe(true);
        const failure = await failureOf(() => load('net@1', { from: damaging(at, 2, withTree), ...options }));
        expect(['INTEGRITY_FAILED', 'DIGEST_MISMATCH']).toContain(failure.code);
      }
    }
  });
});

describe('an answer in pieces', () => {
  const cut = (bytes: Uint8Array, count: number): Uint8Array[] => {
    const ends = Array.from({ length: count - 1 }, () => random.integer(bytes.length + 1)).sort((a, b) => a - b);
    return [...ends, bytes.length].map((end, i) => bytes.slice(i === 0 ? 0 : ends[i - 1], end));
  };
  const answering =
    (answer: (bytes: Uint8Array) => unknown): Read =>
    async (from, length) =>
      answer(big.slice(from, from + length)) as Uint8Array;

  it('is joined, empty pieces among them, up to 4,096', async () => {
    for (const count of [1, 2, 17, 4096]) expect(await outcome(answering((bytes) => cut(bytes, count)))).toBe('right');
    expect(await outcome(answering((bytes) => cut(bytes, 4097)))).toBe('IO_FAILED');
  });

  it('that has another length, or holds something else, is refused', async () => {
    const none = new Uint8Array(0);
    for (const answer of [
      () => [],
      () => [none],
      (bytes: Uint8Array) => [bytes.slice(1)],
      (bytes: Uint8Array) => [bytes, Uint8Array.of(0)],
      (bytes: Uint8Array) => [bytes, bytes],
    ])
      expect(await outcome(answering(answer))).toBe('CONTAINER_TRUNCATED');
    for (const answer of [
      (bytes: Uint8Array) => [bytes, undefined],
      (bytes: Uint8Array) => [[bytes]],
      (bytes: Uint8Array) => ({ 0: bytes, length: 1 }),
      (bytes: Uint8Array) => [bytes.buffer],
      (bytes: Uint8Array) => Array.from(bytes),
      () => new Array(4_000_000_000),
      () => null,
    ])
      expect(await outcome(answering(answer))).toBe('IO_FAILED');
  });

  it('whose array runs a script while it is read does no harm', async () => {
    const hostile = (pieces: Uint8Array[], act: () => void): Uint8Array[] => {
      const [first, second] = pieces;
      const array: Uint8Array[] = [];
      Object.defineProperty(array, 0, { get: () => first });
      Object.defineProperty(array, 1, {
        get() {
          act();
          return second;
        },
      });
      return array;
    };
    const moving = answering((bytes) => {
      const [first = bytes, second = bytes] = cut(bytes, 2);
      return hostile([first, second], () => structuredClone(first.buffer, { transfer: [first.buffer as ArrayBuffer] }));
    });
    expect(await outcome(moving)).toBe('right');
    const throwing = answering((bytes) =>
      hostile(cut(bytes, 2), () => {
        throw new Error('no');
      }),
    );
    expect(await outcome(throwing)).toBe('IO_FAILED');
    const control = call((native) => native.control());
    expect(
      await outcome(
        answering((bytes) => hostile(cut(bytes, 2), () => control.cancel())),
        { control },
      ),
    ).toBe('ABORT_ERR');
  });
});
