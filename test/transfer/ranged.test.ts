/** Reading in ranges ahead of the reader: always the right bytes, within bounds, over connections that break. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AbortSignalLike } from '../../src/base/abort.js';
import { hasCode, ModelGuardError } from '../../src/errors.js';
import { withRetryHint } from '../../src/http/retry-hints.js';
import type { Timers } from '../../src/http/timers.js';
import type { RangeResponse, RangeSource } from '../../src/transfer/range-source.js';
import { type RangedOptions, rangedPart } from '../../src/transfer/ranged.js';
import { NotedPace } from '../support/fake-client.js';
import { collectGarbage } from '../support/garbage.js';
import { seeded } from '../support/seed.js';

const KIB = 1024;
const never: Timers = { now: () => 0, after: () => () => {} };
const broken = (): Error => withRetryHint(new ModelGuardError('SERVER_UNREACHABLE', 'cut'), { effect: 'unknown' });
const join = (pieces: Uint8Array | readonly Uint8Array[]): Buffer =>
  Buffer.concat(pieces instanceof Uint8Array ? [pieces] : [...pieces]);

interface Asked {
  readonly offset: number;
  readonly length: number;
}

/** Gives what it holds, in pieces of 1,000 bytes, as `answer` does with them. */
class Held implements RangeSource {
  readonly asked: Asked[] = [];
  open = 0;
  mostOpen = 0;
  constructor(
    readonly bytes: Uint8Array,
    readonly answer: (asked: Asked, bytes: AsyncIterable<Uint8Array>, times: number) => AsyncIterable<Uint8Array> = (_, all) =>
      all,
  ) {}
  get size(): number {
    return this.bytes.length;
  }
  async range(offset: number, length: number): Promise<RangeResponse> {
    const contentRange = `bytes ${offset}-${offset + length - 1}/${this.size}`;
    return { status: 206, contentRange, contentLength: length, bytes: this.#stream(offset, length), discard: () => undefined };
  }
  async *#stream(offset: number, length: number): AsyncGenerator<Uint8Array> {
    this.asked.push({ offset, length });
    this.open += 1;
    this.mostOpen = Math.max(this.mostOpen, this.open);
    try {
      yield* this.answer({ offset, length }, this.#all(offset, length), this.asked.length);
    } finally {
      this.open -= 1;
    }
  }
  async *#all(offset: number, length: number): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < offset + length; at += 1000) yield this.bytes.subarray(at, Math.min(at + 1000, offset + length));
  }
  async tree(): Promise<undefined> {
    return undefined;
  }
}

const opened = (source: RangeSource, options: RangedOptions = {}) =>
  rangedPart(source, { rangeBytes: 10 * KIB, connections: 3, pace: new NotedPace(), timers: never, ...options });

async function readAll(source: Held, options: RangedOptions = {}, step = 3 * KIB): Promise<Buffer> {
  const part = opened(source, options);
  const pieces: Buffer[] = [];
  for (let at = 0; at < source.size; at += step) pieces.push(join(await part.read(at, Math.min(step, source.size - at))));
  await part.close();
  return Buffer.concat(pieces);
}

describe('a part that is read in ranges', () => {
  const bytes = randomBytes(95 * KIB + 17);

  it('is read here and there, and nothing else fetched, for a reader that says so', async () => {
    const source = new Held(bytes);
    const part = opened(source);
    for (const offset of [50 * KIB, 0, 0, 9 * KIB])
      expect(join(await part.read(offset, 2 * KIB, { ahead: false })).equals(bytes.subarray(offset, offset + 2 * KIB))).toBe(
        true,
      );
    await part.close();
    expect(source.asked.map(({ offset, length }) => [offset / KIB, length / KIB])).toEqual([
      [50, 2],
      [0, 2],
      [0, 2],
      [9, 2],
    ]);
  });

  it('is read in order with each byte asked for once, in ranges of the size that was said', async () => {
    const source = new Held(bytes);
    expect((await readAll(source)).equals(bytes)).toBe(true);
    expect(source.asked.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((range) => range * 10 * KIB));
    expect(source.asked.at(-1)?.length).toBe(bytes.length - 90 * KIB);
  });

  it('keeps no more requests open than it was told, and is no more than one range ahead of them', async () => {
    const source = new Held(bytes);
    const part = opened(source);
    await part.read(0, 100);
    await expect.poll(() => source.open).toBe(0);
    expect(source.asked.length).toBe(4);
    expect(source.mostOpen).toBe(3);
    await part.close();
  });

  it('gives the right bytes to any reads, in any order and at the same time', async () => {
    const { seed } = seeded('reads of ranges');
    const range = fc.tuple(fc.integer({ min: 0, max: bytes.length }), fc.integer({ min: 0, max: 25 * KIB }));
    await fc.assert(
      fc.asyncProperty(fc.array(range, { maxLength: 20 }), async (ranges) => {
        const part = opened(new Held(bytes));
        const wanted = ranges.map(([start, length]) => [start, Math.min(length, bytes.length - start)] as const);
        const found = await Promise.all(wanted.map(([start, length]) => part.read(start, length)));
        for (const [index, [start, length]] of wanted.entries())
          expect(join(found[index] ?? []).equals(bytes.subarray(start, start + length)), `read ${index}`).toBe(true);
        await part.close();
      }),
      { seed: seed % 2 ** 31, numRuns: 50 },
    );
  });

  it('goes on at the byte where a connection broke', async () => {
    const source = new Held(bytes, async function* cut(_, all, times) {
      let sent = 0;
      for await (const piece of all) {
        if (times === 2 && sent >= 4000) throw broken();
        sent += piece.length;
        yield piece;
      }
    });
    expect((await readAll(source)).equals(bytes)).toBe(true);
    const again = source.asked.find(({ offset }) => offset % (10 * KIB) !== 0);
    expect(again).toEqual({ offset: 10 * KIB + 4000, length: 10 * KIB - 4000 });
    expect(source.asked.length).toBe(11);
  });

  it('gives up after six attempts that brought little', async () => {
    const pace = new NotedPace();
    // biome-ignore lint/correctness/useYield: it only fails
    const source = new Held(bytes, async function* fail() {
      throw broken();
    });
    const part = opened(source, { pace, connections: 1 });
    await expect(part.read(0, 100)).rejects.toSatisfy((error) => hasCode(error, 'SERVER_UNREACHABLE'));
    expect(source.asked.filter(({ offset }) => offset === 0).length).toBe(6);
    expect(pace.pauses.length).toBeGreaterThanOrEqual(5);
    await part.close();
  });

  it('does not ask again after what is final', async () => {
    // biome-ignore lint/correctness/useYield: it only fails
    const source = new Held(bytes, async function* fail() {
      throw new ModelGuardError('PERMISSION_DENIED', 'no');
    });
    const part = opened(source, { connections: 1 });
    await expect(part.read(0, 100)).rejects.toSatisfy((error) => hasCode(error, 'PERMISSION_DENIED'));
    expect(source.asked.filter(({ offset }) => offset === 0).length).toBe(1);
    await part.close();
  });

  it('comes to an end over a connection that breaks again and again but brings something', async () => {
    const large = randomBytes(2 * 1024 * KIB);
    const source = new Held(large, async function* cut(_, all) {
      let sent = 0;
      for await (const piece of all) {
        yield piece;
        sent += piece.length;
        if (sent >= 300_000) throw broken();
      }
    });
    expect((await readAll(source, { rangeBytes: large.length, connections: 1 }, large.length)).equals(large)).toBe(true);
    expect(source.asked.length).toBe(7);
  });

  it('refuses answers that are too long or too short, and asks again', async () => {
    const source = new Held(bytes, async function* odd(_, all, times) {
      if (times === 1) yield new Uint8Array(10 * KIB + 1);
      else if (times === 3) yield bytes.subarray(0, 5);
      else yield* all;
    });
    const part = opened(source, { connections: 1, rangeBytes: 10 * KIB });
    expect(join(await part.read(0, 5 * KIB))).toEqual(bytes.subarray(0, 5 * KIB));
    await part.close();
  });

  it('breaks off a request that brings next to nothing, and says so when all do', async () => {
    const due: (() => void)[] = [];
    const timers: Timers = {
      now: () => 0,
      after(_, task) {
        due.push(task);
        return () => {};
      },
    };
    const source = new Held(bytes, async function* silent() {
      yield new Uint8Array(3);
      await new Promise(() => {});
    });
    const part = opened(source, { connections: 1, timers, rangeBytes: bytes.length });
    const reading = part.read(0, 100).then(
      () => 'read',
      (error: ModelGuardError) => error.code,
    );
    for (let attempt = 1; attempt <= 6; attempt++) {
      await expect.poll(() => due.length).toBe(attempt);
      due[attempt - 1]?.();
    }
    expect(await reading).toBe('TIMED_OUT');
    await part.close();
  });

  it('fetches anew what was read before: whoever asks again found it damaged', async () => {
    const source = new Held(bytes);
    const part = opened(source);
    const first = join(await part.read(1000, 2000));
    const before = source.asked.length;
    expect(join(await part.read(1500, 1000))).toEqual(first.subarray(500, 1500));
    expect(source.asked.slice(before)).toContainEqual({ offset: 1500, length: 1000 });
    await part.close();
  });

  it('rejects what waits when it is closed or the signal says so', async () => {
    const source = new Held(bytes, async function* silent() {
      yield new Uint8Array(3);
      await new Promise(() => {});
    });
    const part = opened(source);
    const abort = new AbortController();
    const one = part.read(0, 100, { signal: abort.signal });
    const two = part.read(20 * KIB, 100);
    abort.abort();
    await expect(one).rejects.toSatisfy((error) => hasCode(error, 'ABORT_ERR'));
    await part.close();
    await expect(two).rejects.toSatisfy((error) => hasCode(error, 'ABORT_ERR'));
  });

  it('keeps no piece of a range in memory until the range is complete', async () => {
    const pieces: WeakRef<Uint8Array>[] = [];
    const source = new Held(bytes, async function* paused(_, all) {
      for await (const piece of all) {
        if (pieces.length === 10) await new Promise(() => {});
        const copy = Uint8Array.from(piece);
        pieces.push(new WeakRef(copy));
        yield copy;
      }
    });
    const part = opened(source, { connections: 1, rangeBytes: bytes.length });
    await part.read(0, 10_000);
    await collectGarbage();
    // The generator that is paused may hold the last one.
    expect(pieces.slice(0, -1).filter((piece) => piece.deref() !== undefined)).toEqual([]);
    await part.close();
  });

  it.each<[string, number, number]>([
    ['for a range ahead', 0, 100],
    ['for a range of its own', 60 * KIB, 100],
  ])('waits at close for the requests under way: %s', async (_, offset, length) => {
    let open = 0;
    let requested = (): void => {};
    const wanted = new Promise<void>((resolve) => {
      requested = resolve;
    });
    /** Its requests take some turns of the event loop to end after the abort, as sockets do. */
    const slow: RangeSource = {
      size: bytes.length,
      async range(at, _length, signal) {
        open += 1;
        if (at <= offset && offset < at + 10 * KIB) requested();
        await new Promise<void>((resolve) => signal.addEventListener('abort', resolve));
        for (let turns = 0; turns < 5; turns += 1) await new Promise((resolve) => setImmediate(resolve));
        open -= 1;
        throw broken();
      },
      tree: async () => undefined,
    };
    const part = opened(slow);
    const reading = part.read(offset, length).catch((error: ModelGuardError) => error.code);
    await wanted;
    await part.close();
    expect(open, 'requests that go on').toBe(0);
    expect(await reading).toBe('ABORT_ERR');
  });

  it('waits at close for a request for the tree', async () => {
    let open = true;
    const source: RangeSource = Object.assign(new Held(bytes), {
      async tree(signal: AbortSignalLike) {
        await new Promise<void>((resolve) => signal.addEventListener('abort', resolve));
        await new Promise((resolve) => setImmediate(resolve));
        open = false;
        return undefined;
      },
    });
    const part = opened(source);
    const tree = part.tree().catch(() => undefined);
    await part.close();
    expect(open).toBe(false);
    await tree;
  });

  it('ends a request that is answered after its attempt was given up', async () => {
    const discarded: number[] = [];
    let answer = (_: RangeResponse): void => {};
    const source: RangeSource = {
      size: bytes.length,
      range: (offset) =>
        new Promise((resolve) => {
          answer = resolve;
          queueMicrotask(() => offset === 0 && abort());
        }),
      tree: async () => undefined,
    };
    const part = opened(source, { connections: 1 });
    let closing: Promise<void> | undefined;
    const abort = (): void => {
      closing ??= part.close();
    };
    await part.read(0, 100).catch(() => undefined);
    answer({ status: 206, bytes: (async function* none() {})(), discard: () => discarded.push(1) });
    await closing;
    expect(discarded).toEqual([1]);
  });

  it('uses the memory again that its reader gives back, and no other', async () => {
    const part = opened(new Held(bytes));
    const buffers = new Set<ArrayBufferLike>();
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += 4 * KIB) {
      const given = await part.read(at, Math.min(4 * KIB, bytes.length - at));
      for (const { buffer } of [given].flat()) buffers.add(buffer);
      pieces.push(join(given));
      part.recycle?.(given);
    }
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    expect(buffers.size).toBeLessThanOrEqual(6);
    const kept = await part.read(0, 100);
    part.recycle?.(kept);
    part.recycle?.(new Uint8Array(10));
    await part.close();
  });

  it('gathers crumbs: as many pieces as bytes would cost more than they hold', async () => {
    const source = new Held(bytes, async function* crumbs(_, all) {
      for await (const piece of all) for (let at = 0; at < piece.length; at += 3) yield piece.subarray(at, at + 3);
    });
    const part = opened(source);
    const first = [await part.read(0, 7000)].flat();
    const second = [await part.read(7000, 50 * KIB)].flat();
    expect(join([...first, ...second]).equals(bytes.subarray(0, 7000 + 50 * KIB))).toBe(true);
    expect(second.length).toBeLessThan(20);
    await part.close();
  });
});
