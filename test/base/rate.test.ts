/** How fast it goes and how long it takes. If these fail, people are told nonsense about the time that is left. */
import { describe, expect, it } from 'vitest';
import { speedometer } from '../../src/base/rate.js';

/** A clock that the test sets. */
function measuring(total: number) {
  let now = 1000;
  const measure = speedometer(total, () => now);
  return (at: number, done: number, skipped?: number) => {
    now = 1000 + at;
    return measure(done, skipped);
  };
}

describe('rate and remaining time', () => {
  it('cannot be told before time has passed or anything has moved', () => {
    const at = measuring(1000);
    expect(at(0, 0)).toEqual({ rate: 0 });
    expect(at(0, 10)).toEqual({ rate: 0 });
    expect(measuring(1000)(500, 0)).toEqual({ rate: 0 });
  });

  it('are those of the last five seconds, not of the whole', () => {
    const at = measuring(100_000);
    expect(at(1000, 1000)).toEqual({ rate: 1000, remaining: 99 });
    for (let second = 2; second <= 10; second += 1) at(second * 1000, second * 1000);
    for (let second = 11; second <= 14; second += 1) at(second * 1000, 10_000 + (second - 10) * 5000);
    expect(at(15_000, 35_000), 'the slow beginning still counts').toEqual({ rate: 5000, remaining: 13 });
  });

  it('say nothing about the end while nothing moves', () => {
    const at = measuring(1000);
    at(1000, 500);
    expect(at(5000, 500).rate).toBe(100);
    expect(at(7000, 500)).toEqual({ rate: 0 });
    expect(at(8000, 600).rate).toBeGreaterThan(0);
  });

  it('do not take what was done before for speed', () => {
    const at = measuring(1000);
    expect(at(1000, 900, 800)).toEqual({ rate: 100, remaining: 1 });
  });

  it('are nothing left at the end, of nothing as well', () => {
    expect(measuring(1000)(2000, 1000)).toEqual({ rate: 500, remaining: 0 });
    expect(measuring(0)(0, 0)).toEqual({ rate: 0, remaining: 0 });
  });
});
