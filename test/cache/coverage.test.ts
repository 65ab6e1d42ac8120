/** Which bytes are there, against a list of all bytes. */
import { expect, it } from 'vitest';
import { Coverage } from '../../src/cache/coverage.js';
import { seeded } from '../support/seed.js';

const random = seeded('coverage');

it('a part is whole when its last missing byte came, in any order and however often', () => {
  for (let run = 0; run < 100; run += 1) {
    const size = 1 + random.integer(40);
    const coverage = new Coverage();
    const there = new Set<number>();
    for (let step = 0; there.size < size && step < 400; step += 1) {
      const start = random.integer(size);
      const end = Math.min(size, start + random.integer(9));
      coverage.add(start, end);
      for (let at = start; at < end; at += 1) there.add(at);
      expect(coverage.covers(size), `${[...there]} of ${size}`).toBe(there.size === size);
    }
  }
  expect(new Coverage().covers(0)).toBe(true);
  expect(new Coverage().covers(1)).toBe(false);
});
