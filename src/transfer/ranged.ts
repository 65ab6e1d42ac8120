/**
 * Reads a remote object: several ranges are on their way at once, ahead of a reader that reads in order. Nothing here knows where the
 * object lies.
 */
import { setMaxListeners } from 'node:events';
import { type AbortSignalLike, throwIfAborted, untilAborted } from '../base/abort.js';
import { AbortError } from '../errors.js';
import { type Pace, pace as realPace, withRetries } from '../http/retry.js';
import { timers as realTimers, type Timers } from '../http/timers.js';
import { BufferPool } from './buffer-pool.js';
import { RangeFetch } from './range-fetch.js';
import type { RangeSource } from './range-source.js';

export interface RangedOptions {
  /** Requests at once. */
  readonly connections?: number | undefined;
  /** Bytes of one request. */
  readonly rangeBytes?: number | undefined;
  /** Milliseconds in which a request must bring something. */
  readonly timeoutMs?: number | undefined;
  readonly pace?: Pace | undefined;
  readonly timers?: Timers | undefined;
}

/** Time, chance and sizes of one's own, for tests. */
export type RangedTestHooks = Pick<RangedOptions, 'pace' | 'timers' | 'rangeBytes'>;

/** Few enough for one server, enough to fill a line with long ways. */
export const CONNECTIONS = 6;
export const RANGE_BYTES = 2 * 1024 * 1024;
export const TIMEOUT_MS = 30_000;
/** Ranges that have come and wait for their reader. */
const WAITING = 1;

/**
 * Opens `source` for reading. Memory: about `connections + 2` ranges, where the reader recycles what it was given. Bytes that were read before are
 * fetched anew: a reader asks again where it found them damaged.
 */
export function rangedPart(source: RangeSource, options: RangedOptions = {}): RangedPart {
  return new RangedPart(source, options);
}

/** A remote object that is open for reading. The stores give it out as an `OpenBigPart`. */
export class RangedPart {
  readonly remote = true;
  readonly size: number;
  readonly #source: RangeSource;
  readonly #options: { readonly [Key in keyof RangedOptions]-?: NonNullable<RangedOptions[Key]> };
  /** By number; what is not there was not begun, or is spent. */
  readonly #ahead = new Map<number, RangeFetch>();
  readonly #slabs: BufferPool;
  readonly #closing = new AbortController();
  /** The first range that was not begun. */
  #next = 0;
  #fetching = 0;

  constructor(source: RangeSource, options: RangedOptions) {
    const { connections = CONNECTIONS, rangeBytes = RANGE_BYTES, timeoutMs = TIMEOUT_MS } = options;
    const { pace = realPace, timers = realTimers } = options;
    this.#source = source;
    this.#options = { connections, rangeBytes, timeoutMs, pace, timers };
    this.size = source.size;
    this.#slabs = new BufferPool(Math.min(rangeBytes, source.size));
    // Every request and every reader waits for it.
    setMaxListeners(0, this.#closing.signal);
  }

  async read(
    offset: number,
    length: number,
    { signal }: { readonly signal?: AbortSignalLike | undefined } = {},
  ): Promise<readonly Uint8Array[]> {
    throwIfAborted(signal);
    const { rangeBytes } = this.#options;
    const end = offset + length;
    const parts: Promise<Uint8Array>[] = [];
    for (let at = offset; at < end; ) {
      const number = Math.floor(at / rangeBytes);
      const until = Math.min(end, (number + 1) * rangeBytes);
      parts.push(this.#take(number, at, until));
      at = until;
    }
    return await untilAborted(this.#closing.signal, untilAborted(signal, Promise.all(parts)));
  }

  recycle(given: Uint8Array | readonly Uint8Array[]): void {
    for (const bytes of [given].flat()) this.#slabs.give(bytes);
  }

  async tree(): Promise<Uint8Array | undefined> {
    const { signal } = this.#closing;
    return await withRetries({ pace: this.#options.pace, repeatable: true, signal }, () => this.#source.tree(signal));
  }

  async close(): Promise<void> {
    this.#closing.abort(new AbortError());
    await Promise.all([...this.#ahead.values()].map(({ over }) => over));
    this.#ahead.clear();
  }

  async #take(number: number, start: number, end: number): Promise<Uint8Array> {
    this.#fill(number);
    const fetch = this.#ahead.get(number);
    if (!fetch) return await this.#once(start, end);
    const again = fetch.taken(start, end);
    if (again) {
      fetch.forget(start, end);
      this.#slabs.leave(fetch.buffer);
    }
    try {
      return await (again ? this.#once(start, end) : fetch.take(start, end));
    } finally {
      if (fetch.spent && this.#ahead.delete(number)) this.#fill();
    }
  }

  /** Begins ranges in order, as long as there is room, and at least the one that is wanted next. */
  #fill(wanted = -1): void {
    const { connections, rangeBytes } = this.#options;
    const ranges = Math.ceil(this.size / rangeBytes);
    // The read is far ahead, so the reader does not read in order.
    const room = connections + WAITING;
    if (wanted >= this.#next + room) return;
    while (
      !this.#closing.signal.aborted &&
      this.#next < ranges &&
      (this.#next <= wanted || (this.#fetching < connections && this.#ahead.size < room))
    ) {
      const number = this.#next++;
      const start = number * rangeBytes;
      const fetch = this.#fetch(start, this.#slabs.take(Math.min(rangeBytes, this.size - start)));
      this.#ahead.set(number, fetch);
      this.#fetching += 1;
      void fetch.over.then(() => {
        this.#fetching -= 1;
        this.#fill();
      });
    }
  }

  #fetch(start: number, buffer: Uint8Array): RangeFetch {
    return new RangeFetch(this.#source, start, buffer, this.#options, this.#closing.signal);
  }

  /** A request of its own. */
  #once(start: number, end: number): Promise<Uint8Array> {
    return this.#fetch(start, new Uint8Array(end - start)).take(start, end);
  }
}
