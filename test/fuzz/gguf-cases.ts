/** GGUF files: honest ones, and tables that lie. */
import fc from 'fast-check';
import { type GgufTensor, type GgufValue, ggufValue, writeGguf } from '../support/tensor-files.js';
import { extreme, filled, names, orDamaged, type TableCase } from './table-case.js';
import { GGUF_BLOCKS } from './table-oracle.js';

const FILE = 'model.gguf';
const kinds = Object.entries(GGUF_BLOCKS);

const drawn = fc.uniqueArray(
  fc.record({
    name: names,
    kind: fc.constantFrom(...kinds),
    blocks: fc.nat(2),
    outer: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
  }),
  { maxLength: 6, selector: ({ name }) => name },
);
type Drawn = typeof drawn extends fc.Arbitrary<infer T> ? T : never;

const tensorsOf = (all: Drawn): readonly (GgufTensor & { readonly dtype: string })[] =>
  all.map(({ name, kind: [dtype, { type, elements, bytes }], blocks, outer }, index) => {
    const length = outer.reduce((product, size) => product * size, blocks * bytes);
    return { name, dtype, type, sizes: [blocks * elements, ...outer], bytes: filled(length, index) };
  });

const items = (count: number, bytes: number): readonly Uint8Array[] => Array.from({ length: count }, () => new Uint8Array(bytes));
const u64 = (value: bigint): Buffer => {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(value);
  return out;
};
const value: fc.Arbitrary<GgufValue> = fc.oneof(
  fc.nat().map(ggufValue.u32),
  names.map(ggufValue.text),
  // More than one window of the reader is passed over.
  fc.constantFrom(0, 3, 200_000).map((length) => ggufValue.array(0, items(1, length), length)),
  fc.nat(5).map((count) => ggufValue.array(8, items(count, 8))),
  fc.nat(4).map((count) => ggufValue.array(9, items(count, 12))),
);
const lyingValue: fc.Arbitrary<GgufValue> = fc.oneof(
  fc.record({ type: fc.nat(16), bytes: fc.uint8Array({ maxLength: 24 }) }),
  fc.tuple(fc.nat(14), extreme).map(([type, claimed]) => ggufValue.array(type, items(2, 8), claimed)),
  extreme.map((length) => ({ type: 8, bytes: u64(length) })),
);
const metadataOf = (values: fc.Arbitrary<GgufValue>): fc.Arbitrary<readonly [string, GgufValue][]> =>
  fc.uniqueArray(fc.tuple(names, values), { maxLength: 4, selector: ([key]) => key });

const honestCases: fc.Arbitrary<TableCase> = fc
  .record({ drawn, metadata: metadataOf(value), alignment: fc.constantFrom(8, 32, 4096), version: fc.constantFrom(2, 3) })
  .map(({ drawn: all, metadata, alignment, version }) => {
    const tensors = tensorsOf(all);
    const pairs = [['general.alignment', ggufValue.u32(alignment)] as const, ...metadata];
    return {
      files: { [FILE]: writeGguf(tensors, { version, alignment, metadata: pairs }) },
      written: tensors.map(({ name, dtype, sizes, bytes }) => ({ name, dtype, shape: [...sizes].reverse().map(Number), bytes })),
    };
  });

/** An entry with another type, size or offset than its bytes have. */
const lie = fc.oneof(
  fc.nat(50).map((type) => ({ type })),
  fc.array(fc.oneof(extreme, fc.nat(300)), { maxLength: 5 }).map((sizes) => ({ sizes })),
  fc
    .oneof(
      extreme,
      fc.nat(40).map((at) => at * 8),
    )
    .map((offset) => ({ offset })),
);
const lyingCases: fc.Arbitrary<TableCase> = fc
  .record({
    drawn,
    lies: fc.array(fc.tuple(fc.nat(5), lie), { minLength: 1, maxLength: 3 }),
    metadata: metadataOf(fc.oneof(value, lyingValue)),
    counts: fc.constantFrom({}, {}, {}, { tensors: 7 }, { keys: 9 }, { tensors: 1n << 40n }, { keys: (1n << 64n) - 1n }),
    alignment: fc.constantFrom(0, 1, 8, 12, 1 << 20, 2 ** 31),
  })
  .map(({ drawn: all, lies, metadata, counts, alignment }) => {
    const tensors = tensorsOf(all);
    const lying: GgufTensor[] = [...tensors];
    for (const [at, edit] of lies) {
      const target = lying[at % Math.max(1, lying.length)];
      if (target) lying[lying.indexOf(target)] = { ...target, ...edit };
    }
    return {
      files: { [FILE]: writeGguf(lying, { metadata: [...metadata, ['general.alignment', ggufValue.u32(alignment)]], counts }) },
    };
  });

export const ggufCases: fc.Arbitrary<TableCase> = fc.oneof(orDamaged(honestCases, FILE), orDamaged(lyingCases, FILE));
