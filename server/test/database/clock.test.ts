/** The server's clock. If these fail, a replica with a wrong clock ends and deletes things too early. */
import { expect, it } from 'vitest';
import { type ClockSource, DatabaseClock } from '../../src/database/clock.js';

/** Seconds since 1970. */
const NOW = 1_800_000_000;
const DAY = 86_400;

/** A database, and a process whose wall clock is `ahead` seconds before it; both go on when the test says so. */
function lab(ahead: number) {
  const time = { passed: 0, database: NOW, roundTrip: 0, fails: false };
  const warnings: unknown[] = [];
  const source: ClockSource = {
    read: async () => {
      if (time.fails) throw new Error('away');
      // It looks at its clock when the question has come.
      const seconds = time.database + time.passed + time.roundTrip / 2;
      time.passed += time.roundTrip;
      return seconds;
    },
    uptime: () => 12_345 + time.passed * 1000,
    wall: () => (NOW + ahead + time.passed) * 1000,
  };
  const clock = new DatabaseClock(source, { warn: ((about: unknown) => void warnings.push(about)) as never });
  return { time, clock, warnings };
}

it.each([0, 2 * DAY, -400 * DAY])("is the database's, where this machine's is %i s ahead", async (ahead) => {
  const { time, clock } = lab(ahead);
  await clock.measure();
  expect(clock.now()).toBe(NOW);
  time.passed += 90;
  expect(clock.now()).toBe(NOW + 90);
});

it('takes the middle of a round trip, and not one that took too long', async () => {
  const { time, clock } = lab(0);
  time.roundTrip = 1;
  await clock.measure();
  expect(clock.now()).toBe(NOW + 1);
  time.roundTrip = 100;
  time.database += 1000;
  await clock.measure();
  expect(clock.now()).toBe(NOW + 101);
  time.roundTrip = 0;
  await clock.measure();
  expect(clock.now()).toBe(NOW + 1101);
});

it('goes on by itself while the database is away, and follows one that took its place', async () => {
  const { time, clock } = lab(0);
  await clock.measure();
  time.fails = true;
  time.passed += 60;
  await expect(clock.measure()).rejects.toThrow('away');
  expect(clock.now()).toBe(NOW + 60);
  time.fails = false;
  time.database -= 40;
  await clock.measure();
  expect(clock.now()).toBe(NOW + 20);
});

it('has no time before the first reading', () => {
  expect(() => lab(0).clock.now()).toThrow(TypeError);
});

it("says once that this machine's clock is far from it", async () => {
  const { time, clock, warnings } = lab(31);
  await clock.measure();
  await clock.measure();
  expect(warnings).toEqual([{ ahead_seconds: 31 }]);
  time.database += 2;
  await clock.measure();
  time.database -= 2;
  await clock.measure();
  expect(warnings).toHaveLength(2);
  const near = lab(-30);
  await near.clock.measure();
  expect(near.warnings).toEqual([]);
});
