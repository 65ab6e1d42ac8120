/** Counts of requests in this process. If these fail, a wall clock that is set lengthens a limit, or ends it. */
import { expect, it } from 'vitest';
import { RateWindows } from '../../src/http/rate-windows.js';

it('counts each key in windows of its own, by a clock that only grows', () => {
  let uptime = 5000;
  const windows = new RateWindows({ uptime: () => uptime });
  const add = (key: string): unknown => {
    let counted: unknown;
    windows.incr(key, (_error, count) => (counted = count), 60_000);
    return counted;
  };
  expect(add('a')).toEqual({ current: 1, ttl: 60_000 });
  uptime += 59_999;
  expect(add('a')).toEqual({ current: 2, ttl: 1 });
  expect(add('b')).toEqual({ current: 1, ttl: 60_000 });
  uptime += 1;
  expect(add('a')).toEqual({ current: 1, ttl: 60_000 });
  // Forgets the oldest window where there are too many.
  for (let key = 0; key < 20_000; key++) add(`other ${key}`);
  expect(add('b')).toEqual({ current: 1, ttl: 60_000 });
});
