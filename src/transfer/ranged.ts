/** Reads a remote object in ranges. Several are fetched at once, ahead of a reader that reads in order. */
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
  /** Milliseconds in which a request must receive something. */
  readonly timeoutMs?: number | undefined;
  readonly pace?: Pace | undefined;
  readonly timers?: Timers | undefined;
}

/** Replaces time, chance and sizes in tests. */
export type RangedTestHooks = Pick<RangedOptions, 'pace' | 'timers' | 'rangeBytes'>;

/** Few enough for one server, enough to use a fast line with a long round trip. */
export const CONNECTIONS = 6;
export const RANGE_BYTES = 2 * 1024 * 1024;
export const TIMEOUT_MS = 30_000;
/** Complete ranges that may wait for their reader. */
const COMPLETE = 1;

/**
 * Opens `source` for reading. Memory: about `connections + 2` ranges, where the reader recycles its buffers. Bytes that were read before are
 * fetched anew: a reader reads again only bytes that it found damaged.
 */
export function rangedPart(source: RangeSource, options: RangedOptions = {}): RangedPart {
  return new RangedPart(source, options);
}

/** A remote object that is open for reading: an `OpenBigPart` of the stores. */
export class RangedPart {
  readonly remote = true;
  readonly size: number;
  readonly #source: RangeSource;
  readonly #options: { readonly [Key in keyof RangedOptions]-?: NonNullable<RangedOptions[Key]> };
  /** Fetches by the number of their range. A range without one was not begun, or all of its bytes were taken. */
  readonly #ahead = new Map<number, RangeFetch>();
  readonly #buffers: BufferPool;
  readonly #closing = new AbortController();
  /** Fetches and requests that have not ended. */
  readonly #underWay = new Set<Promise<unknown>>();
  /** The number of the first range that was not begun. */
  #next = 0;
  #fetching = 0;

  constructor(source: RangeSource, options: RangedOptions) {
    const { connections = CONNECTIONS, rangeBytes = RANGE_BYTES, timeoutMs = TIMEOUT_MS } = options;
    const { pace = realPace, timers = realTimers } = options;
    this.#source = {
      size: source.size,
      range: (...request) => this.#track(source.range(...request)),
      tree: (signal) => this.#track(source.tree(signal)),
    };
    this.#options = { connections, rangeBytes, timeoutMs, pace, timers };
    this.size = source.size;
    this.#buffers = new BufferPool(Math.min(rangeBytes, source.size));
    // Every request and every reader adds a listener.
    setMaxListeners(0, this.#closing.signal);
  }

  async read(
    offset: number,
    length: number,
    { signal, ahead = true }: { readonly signal?: AbortSignalLike | undefined; readonly ahead?: boolean | undefined } = {},
  ): Promise<readonly Uint8Array[]> {
    throwIfAborted(signal);
    const end = offset + length;
    const parts = ahead ? this.#inOrder(offset, end) : [this.#fetchAlone(offset, end)];
    return await untilAborted(this.#closing.signal, untilAborted(signal, Promise.all(parts)));
  }

  #inOrder(offset: number, end: number): readonly Promise<Uint8Array>[] {
    const { rangeBytes } = this.#options;
    const parts: Promise<Uint8Array>[] = [];
    for (let at = offset; at < end; ) {
      const number = Math.floor(at / rangeBytes);
      const until = Math.min(end, (number + 1) * rangeBytes);
      parts.push(this.#take(number, at, until));
      at = until;
    }
    return parts;
  }

  recycle(given: Uint8Array | readonly Uint8Array[]): void {
    for (const bytes of [given].flat()) this.#buffers.giveBack(bytes);
  }

  async tree(): Promise<Uint8Array | undefined> {
    const { signal } = this.#closing;
    return await withRetries({ pace: this.#options.pace, repeatable: true, signal }, () => this.#source.tree(signal));
  }

  /** Ends every fetch and request, also those for ranges of their own, and waits until they have ended. */
  async close(): Promise<void> {
    this.#closing.abort(new AbortError());
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    this.#ahead.clear();
  }

  #track<T>(task: Promise<T>): Promise<T> {
    const end = (): void => void this.#underWay.delete(ended);
    const ended = task.then(end, end);
    this.#underWay.add(ended);
    return task;
  }

  async #take(number: number, start: number, end: number): Promise<Uint8Array> {
    this.#fill(number);
    const fetch = this.#ahead.get(number);
    if (!fetch) return await this.#fetchAlone(start, end);
    const again = fetch.wasTaken(start, end);
    if (again) {
      fetch.skip(start, end);
      this.#buffers.retire(fetch.buffer);
    }
    try {
      return await (again ? this.#fetchAlone(start, end) : fetch.take(start, end));
    } finally {
      if (fetch.spent && this.#ahead.delete(number)) this.#fill();
    }
  }

  /** Begins to fetch ranges in order while there is room, and in any case up to the range `wanted`. */
  #fill(wanted = -1): void {
    const { connections, rangeBytes } = this.#options;
    const ranges = Math.ceil(this.size / rangeBytes);
    // So far ahead, the reader does not read in order: its range is fetched alone.
    const room = connections + COMPLETE;
    if (wanted >= this.#next + room) return;
    while (
      !this.#closing.signal.aborted &&
      this.#next < ranges &&
      (this.#next <= wanted || (this.#fetching < connections && this.#ahead.size < room))
    ) {
      const number = this.#next++;
      const start = number * rangeBytes;
      const fetch = this.#fetch(start, this.#buffers.take(Math.min(rangeBytes, this.size - start)));
      this.#ahead.set(number, fetch);
      this.#fetching += 1;
      void fetch.ended.then(() => {
        this.#fetching -= 1;
        this.#fill();
      });
    }
  }

  #fetch(start: number, buffer: Uint8Array): RangeFetch {
    const fetch = new RangeFetch(this.#source, start, buffer, this.#options, this.#closing.signal);
    void this.#track(fetch.ended);
    return fetch;
  }

  /** Fetches bytes by a request of their own. */
  #fetchAlone(start: number, end: number): Promise<Uint8Array> {
    return this.#fetch(start, new Uint8Array(end - start)).take(start, end);
  }
}
