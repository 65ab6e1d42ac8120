/**
 * Waits that end with a signal. If these fail, calls cannot be cancelled, handles stay open, or memory grows with every piece that came
 * while a signal lived.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { unlessAborted, untilAborted } from '../../src/base/abort.js';
import { collectGarbage } from '../support/garbage.js';

/** A signal that counts its listeners. */
class CountingSignal {
  readonly #controller = new AbortController();
  readonly listeners = new Set<() => void>();
  get aborted(): boolean {
    return this.#controller.signal.aborted;
  }
  get reason(): unknown {
    return this.#controller.signal.reason;
  }
  addEventListener(_: 'abort', listener: () => void): void {
    this.listeners.add(listener);
  }
  removeEventListener(_: 'abort', listener: () => void): void {
    this.listeners.delete(listener);
  }
  abort(reason: unknown): void {
    this.#controller.abort(reason);
    for (const listener of [...this.listeners]) listener();
  }
}

/** The reason that `task` rejects with. */
const failureOf = (task: () => Promise<unknown>): Promise<unknown> =>
  task().then(
    () => 'no failure',
    (error: unknown) => error,
  );
const never = new Promise<never>(() => {});

/** How many of ten results are still in memory after `wait` gave them, while its signal lives. */
async function resultsKept(wait: (result: Promise<object>) => Promise<object>): Promise<number> {
  const results: WeakRef<object>[] = [];
  for (let count = 0; count < 10; count += 1) results.push(new WeakRef(await wait(nextTurn({ count }))));
  await collectGarbage();
  return results.filter((result) => result.deref() !== undefined).length;
}

describe('unlessAborted', () => {
  it('settles as its promise does, and takes its listener back', async () => {
    const signal = new CountingSignal();
    const failure = new Error('no');
    expect(await unlessAborted(signal, nextTurn('result'))).toBe('result');
    expect(await failureOf(() => unlessAborted(signal, Promise.reject(failure)))).toBe(failure);
    expect(signal.listeners.size).toBe(0);
  });

  it('rejects with the reason as soon as the signal is aborted, and at once where it was before', async () => {
    const signal = new CountingSignal();
    const reason = new Error('enough');
    const waiting = failureOf(() => unlessAborted(signal, never));
    signal.abort(reason);
    expect(await waiting).toBe(reason);
    expect(await failureOf(() => unlessAborted(signal, never))).toBe(reason);
    expect(signal.listeners.size).toBe(0);
  });

  it('keeps no result alive while the signal lives', async () => {
    const { signal } = new AbortController();
    expect(await resultsKept((result) => unlessAborted(signal, result))).toBe(0);
    expect(await resultsKept((result) => untilAborted(signal, result))).toBe(0);
  });

  it('is needed: Promise.race with a promise of the abort keeps every result', async () => {
    const { signal } = new AbortController();
    const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', reject));
    expect(await resultsKept((result) => Promise.race([result, aborted]))).toBe(10);
    // A use after the count: the promise lives until here.
    expect(await Promise.race([aborted, nextTurn('alive')])).toBe('alive');
  });

  it('gives a result to its caller or to `late`, never to both', async () => {
    const lost: string[] = [];
    const late = (value: string) => lost.push(value);
    const controller = new AbortController();
    expect(await unlessAborted(controller.signal, nextTurn('in time'), { late })).toBe('in time');
    const waiting = failureOf(() => unlessAborted(controller.signal, nextTurn('too late'), { late }));
    controller.abort();
    await waiting;
    await failureOf(() => unlessAborted(controller.signal, Promise.resolve('there already'), { late }));
    await expect.poll(() => lost).toEqual(['there already', 'too late']);
  });
});

describe('untilAborted', () => {
  it('rejects with an AbortError that has the reason as its cause', async () => {
    const signal = AbortSignal.abort('enough');
    expect(await failureOf(() => untilAborted(signal, never))).toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
    expect(await untilAborted(undefined, Promise.resolve('result'))).toBe('result');
  });

  it('gives what writes its grace to end by itself', async () => {
    const controller = new AbortController();
    const waiting = untilAborted(controller.signal, nextTurn('cleaned up'), { grace: 60_000 });
    controller.abort();
    expect(await waiting).toBe('cleaned up');
  });
});
