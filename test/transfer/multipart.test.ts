/** Sending in pieces: every byte once, within bounds, and nothing goes on after it ended. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ModelGuardError } from '../../src/errors.js';
import { withRetryHint } from '../../src/http/retry-hints.js';
import { type SendPieces, sendPieces } from '../../src/transfer/multipart.js';
import { failureOf } from '../support/failures.js';
import { NotedPace } from '../support/fake-client.js';
import { seeded } from '../support/seed.js';

const random = seeded('multipart');
const PIECE = 100;
const broken = (): Error => withRetryHint(new ModelGuardError('SERVER_UNREACHABLE', 'cut'), { effect: 'unknown' });

/** A part in memory that is read in pieces of `step` bytes, and what became of its reader. */
class Part {
  readonly offsets: number[] = [];
  read = 0;
  open = 0;
  skippedBytes = 0;
  constructor(
    readonly bytes: Uint8Array,
    readonly step = 33,
    readonly file: string | undefined = undefined,
  ) {}
  skipped = (bytes: number): void => {
    this.skippedBytes += bytes;
  };
  async *stream(offset = 0): AsyncGenerator<Uint8Array, void, undefined> {
    this.offsets.push(offset);
    this.open += 1;
    try {
      for (let at = offset; at < this.bytes.length; at += this.step) {
        const piece = this.bytes.subarray(at, at + this.step);
        this.read += piece.length;
        yield piece;
      }
    } finally {
      this.open -= 1;
    }
  }
}

/** Takes what is sent; each piece waits until the test lets it go, where it says so. */
class Storage {
  readonly taken = new Map<number, Uint8Array>();
  tries = 0;
  underWay = 0;
  most = 0;
  constructor(readonly before: (number: number, tries: number, signal: AbortSignal) => Promise<void> | void = () => {}) {}
  send: SendPieces['send'] = async (number, bytes, signal) => {
    this.tries += 1;
    this.underWay += 1;
    this.most = Math.max(this.most, this.underWay);
    try {
      await this.before(number, this.tries, signal as AbortSignal);
      this.taken.set(number, bytes);
    } finally {
      this.underWay -= 1;
    }
  };
  get bytes(): Buffer {
    return Buffer.concat([...this.taken].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
  }
}

const sending = (part: Part, storage: Storage, more: Partial<SendPieces> = {}): Promise<void> =>
  sendPieces({ size: part.bytes.length, pieceBytes: PIECE, source: part, send: storage.send, pace: new NotedPace(), ...more });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** Ends with the signal, never by itself. */
const forever = (signal: AbortSignal): Promise<void> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
  });

describe('sendPieces', () => {
  it('sends every byte in its place, whatever the lengths', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 1000 }),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 1, max: 7 }),
        async (size, step, connections) => {
          const part = new Part(random.bytes(size), step);
          const storage = new Storage(turn);
          await sending(part, storage, { connections });
          expect(Buffer.compare(storage.bytes, part.bytes)).toBe(0);
          const sizes = [...storage.taken.values()].map(({ length }) => length);
          expect(sizes.slice(0, -1).every((length) => length === PIECE)).toBe(true);
          expect(storage.taken.size).toBe(Math.max(1, Math.ceil(size / PIECE)));
          expect(storage.most).toBeLessThanOrEqual(connections);
          expect([part.offsets, part.open]).toEqual([[0], 0]);
        },
      ),
    );
  });

  it('reads no more than fits: what is under way and one piece', async () => {
    const part = new Part(random.bytes(5000), 50);
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const storage = new Storage(() => held);
    const done = sending(part, storage, { connections: 3 });
    while (part.read < 4 * PIECE) await turn();
    for (let turns = 0; turns < 50; turns += 1) await turn();
    expect(storage.underWay).toBe(3);
    expect(part.read).toBe(4 * PIECE);
    release();
    await done;
    expect(Buffer.compare(storage.bytes, part.bytes)).toBe(0);
  });

  it('sends a piece again from memory: the source is read once', async () => {
    const part = new Part(random.bytes(950));
    const failed = new Set<number>();
    const storage = new Storage((number) => {
      if (failed.has(number)) return;
      failed.add(number);
      throw broken();
    });
    await sending(part, storage);
    expect(Buffer.compare(storage.bytes, part.bytes)).toBe(0);
    expect([storage.tries, part.read, part.offsets]).toEqual([20, 950, [0]]);
  });

  it('gives up after some attempts, and at once where asking again cannot help', async () => {
    const always = new Storage(() => {
      throw broken();
    });
    expect((await failureOf(() => sending(new Part(random.bytes(50)), always))).code).toBe('SERVER_UNREACHABLE');
    expect(always.tries).toBe(6);
    const refused = new ModelGuardError('PERMISSION_DENIED', 'no');
    const never = new Storage(() => {
      throw refused;
    });
    expect(await failureOf(() => sending(new Part(random.bytes(50)), never))).toBe(refused);
    expect(never.tries).toBe(1);
  });

  it('ends the source and every other send before it says that one failed', async () => {
    const part = new Part(random.bytes(5000));
    const refused = new ModelGuardError('PERMISSION_DENIED', 'no');
    const storage = new Storage(async (number, _, signal) => {
      if (number < 3) await forever(signal);
      throw refused;
    });
    expect(await failureOf(() => sending(part, storage, { connections: 3 }))).toBe(refused);
    expect([storage.underWay, part.open, storage.taken.size]).toEqual([0, 0, 0]);
  });

  it('ends with its signal, whatever it waits for', async () => {
    for (const connections of [1, 8]) {
      const controller = new AbortController();
      const part = new Part(random.bytes(400));
      const storage = new Storage((_, __, signal) => forever(signal));
      const done = sending(part, storage, { connections, signal: controller.signal });
      setImmediate(() => controller.abort('enough'));
      expect(await failureOf(() => done)).toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
      expect([storage.underWay, part.open]).toEqual([0, 0]);
    }
    const part = new Part(random.bytes(400));
    const storage = new Storage();
    expect((await failureOf(() => sending(part, storage, { signal: AbortSignal.abort() }))).code).toBe('ABORT_ERR');
    expect([part.offsets, storage.tries]).toEqual([[], 0]);
  });

  it('tells what the source threw, and what is wrong with its size', async () => {
    const changed = new ModelGuardError('SOURCE_CHANGED', 'it changed');
    const part = new Part(random.bytes(400));
    const failing = {
      async *stream() {
        yield* part.stream();
        throw changed;
      },
    };
    expect(await failureOf(() => sending(part, new Storage(), { source: failing }))).toBe(changed);
    for (const size of [0, 1, 399, 401, 100, 500, 10_000])
      expect((await failureOf(() => sending(part, new Storage(), { size }))).code, String(size)).toBe('IO_FAILED');
    expect(part.open).toBe(0);
  });
});

describe('a part that was sent in part', () => {
  const bytes = random.bytes(950);
  const all = new Map(Array.from({ length: 10 }, (_, index) => [index + 1, index === 9 ? 50 : PIECE]));
  const without = (...numbers: number[]): Map<number, number> =>
    new Map([...all].filter(([number]) => !numbers.includes(number)));

  it.each<[string, Map<number, number>, number[], number[]]>([
    ['nothing', new Map(), [0], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
    ['everything', all, [], []],
    ['the beginning', without(7, 8, 9, 10), [600], [7, 8, 9, 10]],
    ['the end', without(1, 2), [0], [1, 2]],
    ['all but two places', without(3, 4, 8), [200, 700], [3, 4, 8]],
    ['all, but one of another size', new Map([...all, [10, 51], [2, 99]]), [100, 900], [2, 10]],
    ['all, and more than there is', new Map([...without(5), [11, PIECE], [0, PIECE]]), [400], [5]],
  ])('of which %s is there is read and sent where it is missing', async (_, present, offsets, numbers) => {
    const part = new Part(bytes, 33, '/staged');
    const storage = new Storage(turn);
    await sending(part, storage, { present, connections: 2 });
    expect([...storage.taken.keys()].sort((a, b) => a - b)).toEqual(numbers);
    for (const [number, sent] of storage.taken)
      expect(Buffer.compare(sent, bytes.subarray((number - 1) * PIECE, number * PIECE))).toBe(0);
    expect(part.offsets).toEqual(offsets);
    expect(part.skippedBytes).toBe(950 - storage.bytes.length);
    // What ends in the middle of the part reads at most the rest of one step too much.
    expect(part.read).toBeLessThanOrEqual(storage.bytes.length + 33 * offsets.length);
  });

  it('is sent whole where it cannot be read from the middle', async () => {
    const part = new Part(bytes);
    const storage = new Storage();
    await sending(part, storage, { present: without(3) });
    expect([Buffer.compare(storage.bytes, bytes), part.skippedBytes]).toEqual([0, 0]);
  });
});
