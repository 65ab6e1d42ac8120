/** Tasks that run at once: hashing of passwords, and reads of a lazy model. More of them, or one that waits for ever, would show here. */
import { expect, it } from 'vitest';
import { Semaphore } from '../../src/base/semaphore.js';

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
