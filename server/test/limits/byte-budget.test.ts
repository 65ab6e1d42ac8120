/** The budget of bytes in memory. If these fail, one account's bodies fill the memory, or delay the bodies of other accounts. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ByteBudget } from '../../src/limits/byte-budget.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const make = () => new ByteBudget({ total: 100, share: 40, patience: 5000 });
/** Whether the bytes were granted by now. */
async function isGiven(taken: Promise<unknown>): Promise<boolean> {
  let given = false;
  taken.then(
    () => {
      given = true;
    },
    () => undefined,
  );
  await vi.advanceTimersByTimeAsync(0);
  return given;
}

describe('held bytes', () => {
  it('stay within the share of their holder and within the total', async () => {
    const bytes = make();
    await bytes.take('a', 30);
    expect(await isGiven(bytes.take('a', 11))).toBe(false);
    await bytes.take('b', 40);
    expect(await isGiven(bytes.take('c', 31))).toBe(false);
    expect(bytes.held).toBe(70);
  });

  it('are given in order once there is room; a holder without a share left keeps no other waiting', async () => {
    const bytes = make();
    const first = await bytes.take('a', 40);
    await bytes.take('b', 40);
    const own = bytes.take('a', 10);
    const large = bytes.take('c', 30);
    const small = bytes.take('d', 5);
    // `d` would fit, and `c` with it never.
    for (const waiting of [own, large, small]) expect(await isGiven(waiting)).toBe(false);
    first.release();
    first.release();
    for (const waiting of [own, large, small]) expect(await isGiven(waiting)).toBe(true);
    expect(bytes.held).toBe(85);
  });

  it('are refused after five seconds, in time for a client that comes back', async () => {
    const bytes = make();
    await bytes.take('a', 40);
    const late = bytes.take('a', 1).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(4999);
    expect(await isGiven(late)).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await late).toMatchObject({ code: 'RATE_LIMITED', seconds: 5 });
    expect(bytes.held).toBe(40);
  });

  it('that one refusal made room for are given', async () => {
    const bytes = make();
    await bytes.take('a', 40);
    await bytes.take('b', 40);
    const large = bytes.take('c', 30);
    await vi.advanceTimersByTimeAsync(2000);
    const small = bytes.take('d', 5);
    expect(await isGiven(small)).toBe(false);
    await expect(Promise.all([large, vi.advanceTimersByTimeAsync(3000)])).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(await isGiven(small)).toBe(true);
  });

  it('may turn out to be more or fewer', async () => {
    const bytes = make();
    const hold = await bytes.take('a', 40);
    hold.resize(10);
    expect(await isGiven(bytes.take('a', 30))).toBe(true);
    hold.resize(70);
    expect(bytes.held).toBe(100);
    hold.release();
    expect(bytes.held).toBe(30);
  });

  it('are not taken again by an answer that is made after its client left', async () => {
    const bytes = make();
    const hold = await bytes.take('a', 40);
    hold.release();
    hold.resize(30);
    expect(bytes.held).toBe(0);
    hold.release();
    expect(bytes.held).toBe(0);
  });
});
