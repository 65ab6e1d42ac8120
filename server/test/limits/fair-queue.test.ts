/** Tasks that take turns. If these fail, one account keeps every other account waiting behind its requests. */
import { describe, expect, it } from 'vitest';
import { FairQueue } from '../../src/limits/fair-queue.js';

/** Tasks that end when the test says so, and the order in which they began. */
function lab(most: number, longest: number) {
  const gate = new FairQueue(most, longest);
  const began: string[] = [];
  const ends = new Map<string, () => void>();
  const ask = (key: string, name: string): Promise<void> =>
    gate.run(key, async () => {
      began.push(name);
      await new Promise<void>((end) => ends.set(name, end));
    });
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await new Promise(setImmediate);
  };
  return { gate, began, ask, end };
}

describe('a fair gate', () => {
  it('runs one task of a key at a time, and lets the keys take turns', async () => {
    const { began, ask, end } = lab(1, 9);
    const asked = ['a1', 'a2', 'a3', 'b1', 'c1', 'b2'].map((name) => ask(name.slice(0, 1), name));
    await new Promise(setImmediate);
    for (const name of ['a1', 'a2', 'b1', 'c1', 'a3', 'b2']) await end(name);
    await Promise.all(asked);
    expect([...began].sort()).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'c1']);
    // Neither b nor c waits for more than one task of a.
    expect(began.indexOf('b1')).toBeLessThan(began.indexOf('a3'));
    expect(began.indexOf('c1')).toBeLessThan(began.indexOf('a3'));
  });

  it('gives a free slot to a key that is not running', async () => {
    const { began, ask, end } = lab(2, 9);
    const asked = ['a1', 'a2', 'b1', 'c1'].map((name) => ask(name.slice(0, 1), name));
    await new Promise(setImmediate);
    expect(began).toEqual(['a1', 'b1']);
    await end('b1');
    expect(began).toEqual(['a1', 'b1', 'c1']);
    for (const name of ['c1', 'a1', 'a2']) await end(name);
    await Promise.all(asked);
  });

  it('refuses a key with too long a line, and goes on after a task that failed', async () => {
    const { gate, ask, end } = lab(1, 2);
    const asked = ['a1', 'a2', 'a3'].map((name) => ask('a', name));
    await new Promise(setImmediate);
    await expect(ask('a', 'a4')).rejects.toMatchObject({ code: 'RATE_LIMITED', seconds: 1 });
    for (const name of ['a1', 'a2', 'a3']) await end(name);
    await Promise.all(asked);
    const failing = gate.run('a', async () => {
      throw new Error('failed');
    });
    await expect(failing).rejects.toThrow('failed');
    expect(await gate.run('a', async () => 'done')).toBe('done');
  });
});
