/** Which clocks are believed. A mistake here opens leases that are over, or closes machines whose clock is merely a little off. */
import { describe, expect, it } from 'vitest';
import { isSetBack, type Moment, refuseSkewed, type Seen, seenAfter } from '../../src/remote/clock.js';
import { seeded } from '../support/seed.js';

const T = 1_800_000_000;
const at = (wall: number, boottime = 0, bootId = 'a'): Moment => ({ wall, boottime, bootId });
const seen = (time: number, boottime = 0, bootId = 'a'): Seen => ({ time, boottime, bootId });

const verdict = (task: () => void): string => {
  try {
    task();
    return 'believed';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('a clock set back', () => {
  it.each<[string, Seen | undefined, Moment, boolean]>([
    ['nothing was seen yet', undefined, at(0), false],
    ['it stands still', seen(T), at(T), false],
    ['it went on', seen(T), at(T + 1, 1), false],
    ['it went far ahead', seen(T), at(T + 1e9), false],
    ['120 s behind', seen(T), at(T - 120, 0, 'b'), false],
    ['121 s behind, after a restart', seen(T), at(T - 121, 0, 'b'), true],
    ['behind what has passed in this boot', seen(T, 100), at(T, 221), true],
    ['not more than the tolerance behind it', seen(T, 100), at(T, 220), false],
    ['the same, after a restart, which cannot be measured', seen(T, 100), at(T, 221, 'b'), false],
    ['a boot whose time runs backwards, as containers may show', seen(T, 1000), at(T, 5), false],
    ['a system that names no boot', seen(T, 100, ''), at(T, 221, ''), false],
    ['1970', seen(T), at(0, 0, 'b'), true],
  ])('%s', (_, known, now, expected) => {
    expect(isSetBack(known, now)).toBe(expected);
  });

  it('a little at a time stands still once, not for ever', () => {
    let known = seenAfter(undefined, at(T));
    let boottime = 0;
    const slip = (): boolean => {
      boottime += 100;
      const now = at(T, boottime);
      const setBack = isSetBack(known, now);
      if (!setBack) known = seenAfter(known, now);
      return setBack;
    };
    expect([slip(), slip(), slip()]).toEqual([false, true, true]);
  });

  it('what was seen never goes back, whatever the clock does', () => {
    const random = seeded('clock');
    let known: Seen | undefined;
    for (let count = 0; count < 1000; count += 1) {
      const next: Seen = seenAfter(
        known,
        at(T + random.integer(10_000) - 5000, random.integer(5000), random.pick(['a', 'b'])),
        T,
      );
      expect(next.time).toBeGreaterThanOrEqual(known?.time ?? T);
      known = next;
    }
  });
});

describe('a server’s time', () => {
  it.each<[string, number, number, number, string]>([
    ['is the same', T, T, T, 'believed'],
    ['120 s ahead', T + 120, T, T, 'believed'],
    ['121 s ahead', T + 121, T, T, 'CLOCK_SKEWED'],
    ['120 s behind', T - 120, T, T, 'believed'],
    ['121 s behind', T - 121, T, T, 'CLOCK_SKEWED'],
    ['from before a slow answer', T - 100, T, T + 600, 'believed'],
    ['from the end of a slow answer', T + 600, T, T + 600, 'believed'],
    ['from after it', T + 721, T, T + 600, 'CLOCK_SKEWED'],
  ])('%s', (_, server, asked, now, expected) => {
    expect(verdict(() => refuseSkewed(server, at(asked), at(now)))).toBe(expected);
  });
});
