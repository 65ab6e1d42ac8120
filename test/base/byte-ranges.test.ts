/**
 * Sets of bytes, compared with a list of all bytes. If these fail, a part is cached that has holes, or a reader gets a buffer that was
 * given back.
 */
import { expect, it } from 'vitest';
import { ByteRanges } from '../../src/base/byte-ranges.js';
import { seeded } from '../support/seed.js';

const random = seeded('byte ranges');
const SIZE = 40;
const all = (start: number, end: number): number[] =>
  Array.from({ length: Math.max(0, end - start) }, (_, index) => start + index);

it('tell of any range whether all of it and whether some of it was added, in any order and however often', () => {
  for (let run = 0; run < 200; run += 1) {
    const ranges = new ByteRanges();
    const added = new Set<number>();
    for (let step = 0; step < 30; step += 1) {
      const start = random.integer(SIZE);
      const end = Math.min(SIZE, start + random.integer(9));
      ranges.add(start, end);
      for (const byte of all(start, end)) added.add(byte);
      const from = random.integer(SIZE);
      const to = from + random.integer(SIZE + 1 - from);
      const asked = all(from, to);
      const what = `[${from}, ${to}) of ${[...added].join(' ')}`;
      expect(ranges.covers(from, to), what).toBe(asked.every((byte) => added.has(byte)));
      expect(ranges.overlaps(from, to), what).toBe(asked.some((byte) => added.has(byte)));
      expect(ranges.covers(0, SIZE), what).toBe(added.size === SIZE);
    }
  }
});

it('cover an empty range and overlap none, even where nothing was added', () => {
  const ranges = new ByteRanges();
  ranges.add(5, 5);
  expect([ranges.covers(0, 0), ranges.covers(0, 1), ranges.overlaps(5, 5), ranges.overlaps(0, 10)]).toEqual([
    true,
    false,
    false,
    false,
  ]);
});
