/** Tables of GGUF files. If this fails, a tensor is read from the wrong place, or a lying table costs memory or time. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gguf } from '../../src/formats/gguf.js';
import { codeOf } from '../support/failures.js';
import { needShared } from '../support/shared.js';
import { CountingReader, filesBelow, type GgufTensor, ggufValue, readWhole, writeGguf } from '../support/tensor-files.js';

const read = (bytes: Uint8Array) => gguf('a.gguf', new CountingReader(bytes));
const plain = (name: string, more: Partial<GgufTensor> = {}): GgufTensor => ({
  name,
  type: 24,
  sizes: [40],
  bytes: new Uint8Array(40).fill(7),
  ...more,
});

/** Types with the elements and bytes of a block, from the layout of ggml's structs. */
const TYPES = [
  { type: 0, block: 1, bytes: 4 },
  { type: 1, block: 1, bytes: 2 },
  { type: 2, block: 32, bytes: 2 + 16 },
  { type: 8, block: 32, bytes: 2 + 32 },
  { type: 12, block: 256, bytes: 2 + 2 + 12 + 128 },
  { type: 14, block: 256, bytes: 128 + 64 + 16 + 2 },
  { type: 39, block: 32, bytes: 1 + 16 },
];
const tensors: fc.Arbitrary<readonly GgufTensor[]> = fc
  .uniqueArray(
    fc.record({
      name: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
      kind: fc.constantFrom(...TYPES),
      blocks: fc.integer({ min: 0, max: 3 }),
      outer: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 3 }),
    }),
    { maxLength: 6, selector: ({ name }) => name },
  )
  .map((all) =>
    all.map(({ name, kind, blocks, outer }, index) => {
      const length = outer.reduce((product, size) => product * size, blocks * kind.bytes);
      return { name, type: kind.type, sizes: [blocks * kind.block, ...outer], bytes: new Uint8Array(length).fill(index + 1) };
    }),
  );

describe('a valid file', () => {
  it.each([2, 3])('of version %i shows each tensor with its own bytes, the outermost dimension first', async (version) => {
    const property = fc.asyncProperty(tensors, fc.constantFrom(8, 32, 64, 4096), async (written, alignment) => {
      const metadata = [
        ['general.alignment', ggufValue.u32(alignment)],
        ['general.name', ggufValue.text('net')],
        ['nested', ggufValue.array(9, [Buffer.from([8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])])],
      ] as const;
      const bytes = writeGguf(written, { version, alignment, metadata });
      const found = await read(bytes);
      expect(found.map(({ name }) => name)).toEqual(written.map(({ name }) => name));
      for (const [index, { sizes, bytes: own }] of written.entries()) {
        const { shape, place } = found[index] ?? {};
        expect(shape).toEqual([...sizes].reverse());
        expect((place?.offset ?? 1) % alignment).toBe(0);
        expect(Buffer.compare(bytes.subarray(place?.offset, (place?.offset ?? 0) + (place?.length ?? 0)), own)).toBe(0);
      }
    });
    await fc.assert(property);
  });

  it('may have keys that take 13 bytes each', async () => {
    const metadata = Array.from(
      { length: 100 },
      (_, i) => [String.fromCharCode(i), { type: 0, bytes: Uint8Array.of(1) }] as const,
    );
    expect(await read(writeGguf([], { metadata }))).toEqual([]);
  });

  it('of another writer is read', async (context) => {
    const files = filesBelow(needShared(context, 'models'), '.gguf');
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) expect(await read(readWhole(file)), file).toEqual([]);
  });
});

describe('a table is refused', () => {
  const items = Buffer.alloc(64);
  it.each([
    ['whose tensors overlap', writeGguf([plain('a'), plain('b', { offset: 0 })])],
    ['with a name twice', writeGguf([plain('a'), plain('a')])],
    ['with a tensor that is not aligned', writeGguf([plain('a', { offset: 8 })])],
    ['with an offset beyond the file', writeGguf([plain('a', { offset: 4096 })])],
    ['with an offset of 2^63', writeGguf([plain('a', { offset: 1n << 63n })])],
    ['with a dimension of 2^63', writeGguf([plain('a', { sizes: [1n << 63n] })])],
    ['whose product overflows to the right size', writeGguf([plain('a', { sizes: [(1n << 32n) + 5n, 1n << 32n, 1] })])],
    ['with part of a block', writeGguf([plain('a', { type: 2, sizes: [40] })])],
    ['with five dimensions', writeGguf([plain('a', { sizes: [40, 1, 1, 1, 1] })])],
    ['that claims 2^63 tensors', writeGguf([], { counts: { tensors: 1n << 63n } })],
    ['that claims more tensors than it has room for', writeGguf([], { counts: { tensors: 1000 } })],
    ['that claims more keys than it has room for', writeGguf([], { counts: { keys: 1000 } })],
    [
      'with a key twice',
      writeGguf([], {
        metadata: [
          ['a', ggufValue.u32(1)],
          ['a', ggufValue.u32(1)],
        ],
      }),
    ],
    ['with an alignment of 0', writeGguf([], { metadata: [['general.alignment', ggufValue.u32(0)]] })],
    ['with an alignment that is text', writeGguf([], { metadata: [['general.alignment', ggufValue.text('32')]] })],
    ['with an unknown type of value', writeGguf([], { metadata: [['a', { type: 13, bytes: items }]] })],
    ['with an array beyond the file', writeGguf([], { metadata: [['a', ggufValue.array(0, [items], 1e9)]] })],
    ['with strings beyond the file', writeGguf([], { metadata: [['a', ggufValue.array(8, [items], 1e9)]] })],
    ['that is cut off', writeGguf([plain('a')]).subarray(0, 40)],
  ])('%s', async (_, bytes) => {
    expect(await codeOf(() => read(bytes))).toBe('TENSORS_MALFORMED');
  });

  it.each([
    [
      'with arrays within arrays',
      writeGguf([], { metadata: [['a', { type: 9, bytes: Buffer.from('090000000100000000000000'.repeat(1e5), 'hex') }]] }),
    ],
    ['with millions of strings', writeGguf([], { metadata: [['a', ggufValue.array(8, [Buffer.alloc(8 * 5e6)], 5e6)]] })],
    [
      'with a million tensors',
      writeGguf([], { counts: { tensors: 1e6 }, metadata: [['a', ggufValue.array(0, [Buffer.alloc(3e7)], 3e7)]] }),
    ],
  ])('%s', async (_, bytes) => {
    const reader = new CountingReader(bytes);
    expect(await codeOf(() => gguf('a', reader))).toBe('LIMIT_EXCEEDED');
    expect(reader.given).toBeLessThan(300_000);
  });

  it.each([4, 42, 139])('with tensors of a type that this release does not know: %i', async (type) => {
    await expect(read(writeGguf([plain('a', { type })]))).rejects.toMatchObject({
      code: 'VERSION_UNSUPPORTED',
      message: expect.stringContaining(`"a" has the type "${type}"`),
    });
  });

  it.each([
    [1, 'version 1'],
    [4, 'version 4'],
    [0x03000000, 'big-endian'],
  ])('of version %i', async (version, what) => {
    await expect(read(writeGguf([], { version }))).rejects.toMatchObject({
      code: 'VERSION_UNSUPPORTED',
      message: expect.stringContaining(what),
    });
  });
});
