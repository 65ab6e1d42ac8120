/** The queue in front of password hashing: if it had no end, a flood of log-ins would make every other one wait for minutes. */
import { expect, it } from 'vitest';
import { BoundedSemaphore } from '../../src/limits/semaphore.js';

it('refuses tasks behind too long a queue, and admits them again once it has moved on', async () => {
  const gate = new BoundedSemaphore(1, 1);
  let end = (): void => {};
  const first = gate.run(() => new Promise<void>((done) => (end = done)));
  const second = gate.run(async () => 'second');
  await expect(gate.run(async () => 'third')).rejects.toMatchObject({ code: 'RATE_LIMITED', seconds: 1 });
  end();
  await first;
  expect(await second).toBe('second');
  expect(await gate.run(async () => 'fourth')).toBe('fourth');
});
