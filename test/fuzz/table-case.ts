/** Model files that fuzzers of the tensor tables read, and damage to them. */
import fc from 'fast-check';

export type Files = Readonly<Record<string, Uint8Array>>;

/** A tensor that a file was written with. */
export interface Written {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Absent where its values are not in one piece. */
  readonly bytes?: Uint8Array | undefined;
}

/** A model, and the tensors in it; `written` is absent where a file lies or is damaged. */
export interface TableCase {
  readonly files: Files;
  readonly written?: readonly Written[] | undefined;
}

/** Names that are something else in JavaScript, in paths or in messages. */
export const HOSTILE_NAMES = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '',
  '0',
  '__metadata__.a',
  '../w',
  'a\0b',
  'a\nb\u001b[2J',
  '\u{1f512}',
  'n'.repeat(300),
] as const;

export const names = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom(...HOSTILE_NAMES) },
);

/** Values that tables lie with. */
export const EXTREMES = [
  0n,
  1n,
  8n,
  0xffn,
  1n << 31n,
  1n << 32n,
  (1n << 53n) - 1n,
  1n << 53n,
  1n << 63n,
  (1n << 64n) - 1n,
] as const;
export const extreme = fc.constantFrom(...EXTREMES);

/** Shapes with a product of at most a few hundred. */
export const outerSizes = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 });

export const filled = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => (at * 31 + seed * 7 + 1) % 251);

type Change = (bytes: Uint8Array, at: number) => Uint8Array;
const splice = (bytes: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array =>
  Uint8Array.from(Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)]));

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.integer({ min: 1, max: 255 }).map(
    (mask): Change =>
      (bytes, at) =>
        bytes.map((byte, i) => (i === at ? byte ^ mask : byte)),
  ),
  extreme.map(
    (value): Change =>
      (bytes, at) => {
        const word = Buffer.alloc(8);
        word.writeBigUInt64LE(value);
        return splice(bytes, at, 8, word).slice(0, bytes.length);
      },
  ),
  fc.constant<Change>((bytes, at) => bytes.slice(0, at)),
  fc.uint8Array({ maxLength: 12 }).map(
    (more): Change =>
      (bytes, at) =>
        splice(bytes, at, 0, more),
  ),
  fc.nat(12).map(
    (length): Change =>
      (bytes, at) =>
        splice(bytes, at, length, new Uint8Array(0)),
  ),
  fc.nat(64).map(
    (length): Change =>
      (bytes, at) =>
        splice(bytes, at, 0, bytes.subarray(at, at + length)),
  ),
);

/** `place` of the file, so that the start, where the table is, is changed most. */
const damage = fc.array(fc.record({ change, place: fc.double({ min: 0, max: 1, noNaN: true }) }), { minLength: 1, maxLength: 4 });

/** Each case as it is, or with some bytes of its file `name` changed. */
export const orDamaged = (cases: fc.Arbitrary<TableCase>, name: string): fc.Arbitrary<TableCase> =>
  fc.oneof(
    { weight: 1, arbitrary: cases },
    {
      weight: 2,
      arbitrary: fc.tuple(cases, damage).map(([{ files }, changes]) => {
        const damaged = changes.reduce<Uint8Array>(
          (bytes, { change, place }) => change(bytes, Math.floor(place ** 2 * bytes.length)),
          files[name] ?? new Uint8Array(0),
        );
        return { files: { ...files, [name]: damaged } };
      }),
    },
  );
