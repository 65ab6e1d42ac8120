/** The gate: checks of uploads never run more than so many at a time, and none waits for ever. */
import { expect, it } from 'vitest';
import { Semaphore } from '../../src/limits/semaphore.js';

it('runs two at once and the rest in order, also after failures', async () => {
  const gate = new Semaphore(2);
  const ends: (() => void)[] = [];
  const began: number[] = [];
  const tasks = [0, 1, 2, 3, 4].map((number) =>
    gate.run(async () => {
      began.push(number);
      await new Promise<void>((end) => ends.push(end));
      if (number % 2 === 0) throw new Error(`task ${number}`);
      return number;
    }),
  );
  const outcomes = Promise.allSettled(tasks);
  for (const expected of [2, 3, 4, 5, 5]) {
    await expect.poll(() => began.length).toBe(expected);
    ends.shift()?.();
  }
  expect(began).toEqual([0, 1, 2, 3, 4]);
  expect((await outcomes).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled', 'rejected']);
  await expect(gate.run(async () => 'free again')).resolves.toBe('free again');
});

it('refuses tasks behind too long a queue, and admits them again once it has moved on', async () => {
  const gate = new Semaphore(1, 1);
  let end = (): void => {};
  const first = gate.run(() => new Promise<void>((done) => (end = done)));
  const second = gate.run(async () => 'second');
  await expect(gate.run(async () => 'third')).rejects.toMatchObject({ code: 'RATE_LIMITED', seconds: 1 });
  end();
  await first;
  expect(await second).toBe('second');
  expect(await gate.run(async () => 'fourth')).toBe('fourth');
});
