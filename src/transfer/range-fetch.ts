/** One range of an object on its way into memory. */
import { ModelGuardError } from '../errors.js';
import { LEAST_BYTES } from '../http/least-rate.js';
import { type Pace, withRetries } from '../http/retry.js';
import { withRetryHint } from '../http/retry-hints.js';
import type { Timers } from '../http/timers.js';
import { checkRangeAnswer } from './range-answer.js';
import type { RangeSource } from './range-source.js';

const ATTEMPTS = 6;
/** An attempt that brought so much does not count: connections that break again and again still come to an end. */
const PROGRESS = 256 * 1024;

interface Patience {
  readonly pace: Pace;
  readonly timers: Timers;
  /** Milliseconds. */
  readonly timeoutMs: number;
}

interface Waiting {
  readonly end: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Fetches a range of a source into a buffer of its length, and goes on where a connection broke. */
export class RangeFetch {
  readonly start: number;
  readonly end: number;
  readonly buffer: Uint8Array;
  readonly #source: RangeSource;
  readonly #patience: Patience;
  readonly #signal: AbortSignal;
  /** Apart from each other; what was handed out. */
  readonly #taken: { start: number; end: number }[] = [];
  readonly #waiting = new Set<Waiting>();
  #received: number;
  #failure: { readonly error: unknown } | undefined;
  /** Settles when nothing is on its way any more; never rejects. */
  readonly over: Promise<void>;

  constructor(source: RangeSource, start: number, buffer: Uint8Array, patience: Patience, signal: AbortSignal) {
    this.#source = source;
    this.start = start;
    this.end = start + buffer.length;
    this.buffer = buffer;
    this.#received = start;
    this.#patience = patience;
    this.#signal = signal;
    this.over = this.#fetch().catch((error: unknown) => {
      this.#failure = { error };
      for (const waiting of this.#waiting) waiting.reject(error);
      this.#waiting.clear();
    });
  }

  /** Whether any of these bytes was handed out before. */
  taken(start: number, end: number): boolean {
    return this.#taken.some((one) => one.start < end && start < one.end);
  }

  /** Whether every byte was handed out. */
  get spent(): boolean {
    const [only] = this.#taken;
    return this.#taken.length === 1 && only?.start === this.start && only.end === this.end;
  }

  /** The bytes [start, end), which were not handed out yet, as soon as they are there: a view of the buffer. */
  async take(start: number, end: number): Promise<Uint8Array> {
    this.forget(start, end);
    await this.#until(end);
    return this.buffer.subarray(start - this.start, end - this.start);
  }

  async #until(end: number): Promise<void> {
    if (this.#received >= end) return;
    if (this.#failure) throw this.#failure.error;
    await new Promise<void>((resolve, reject) => this.#waiting.add({ end, resolve, reject }));
  }

  /** Marks bytes that will not be taken any more. */
  forget(start: number, end: number): void {
    const merged = { start, end };
    const others = this.#taken.filter((one) => {
      const apart = one.end < merged.start || merged.end < one.start;
      if (!apart) {
        merged.start = Math.min(merged.start, one.start);
        merged.end = Math.max(merged.end, one.end);
      }
      return apart;
    });
    this.#taken.splice(0, this.#taken.length, ...others, merged);
  }

  async #fetch(): Promise<void> {
    const { pace } = this.#patience;
    let before = this.#received;
    await withRetries(
      {
        pace,
        repeatable: true,
        signal: this.#signal,
        attempts: ATTEMPTS,
        progressed: () => this.#received - before >= PROGRESS,
      },
      async () => {
        before = this.#received;
        await this.#attempt();
      },
    );
  }

  /** Until the end of the range, or until the connection breaks or is too slow. */
  async #attempt(): Promise<void> {
    const attempt = new AbortController();
    const stop = (): void => attempt.abort(this.#signal.reason);
    this.#signal.addEventListener('abort', stop);
    const watch = this.#watch(attempt);
    const stopped = new Promise<never>((_, reject) => {
      attempt.signal.addEventListener('abort', () => reject(attempt.signal.reason));
    });
    stopped.catch(() => undefined);
    const pieces = this.#request(attempt.signal);
    try {
      for (;;) {
        // A source that is deaf to its signal is left behind.
        const next = await Promise.race([pieces.next(), stopped]);
        if (next.done) break;
        this.#receive(next.value);
      }
      if (this.#received < this.end) throw short(this.#received, this.end);
    } finally {
      watch();
      this.#signal.removeEventListener('abort', stop);
      attempt.abort();
      Promise.resolve(pieces.return?.()).catch(() => undefined);
    }
  }

  /** One request for the bytes that are missing. */
  async *#request(signal: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const [offset, length] = [this.#received, this.end - this.#received];
    const response = await this.#source.range(offset, length, signal);
    try {
      checkRangeAnswer(response, { offset, length, size: this.#source.size });
      yield* response.bytes;
    } finally {
      response.discard();
    }
  }

  #receive(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#received + bytes.length > this.end) throw long(this.end);
    this.buffer.set(bytes, this.#received - this.start);
    this.#received += bytes.length;
    for (const waiting of this.#waiting) {
      if (waiting.end > this.#received) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }

  /** Breaks an attempt off that brings next to nothing. Returns what ends the watch. */
  #watch(attempt: AbortController): () => void {
    const { timers, timeoutMs } = this.#patience;
    let seen = this.#received;
    let cancel = (): void => {};
    const look = (): void => {
      if (this.#received - seen < LEAST_BYTES) {
        const late = new ModelGuardError('TIMED_OUT', `The storage sent fewer than ${LEAST_BYTES} bytes in ${timeoutMs} ms`);
        attempt.abort(withRetryHint(late, { effect: 'undone' }));
        return;
      }
      seen = this.#received;
      cancel = timers.after(timeoutMs, look);
    };
    cancel = timers.after(timeoutMs, look);
    return () => cancel();
  }
}

const short = (at: number, end: number): ModelGuardError =>
  withRetryHint(new ModelGuardError('RESPONSE_INVALID', `The storage's answer ends ${end - at} bytes early`), {
    effect: 'undone',
  });
const long = (end: number): ModelGuardError =>
  withRetryHint(new ModelGuardError('RESPONSE_INVALID', `The storage's answer goes on beyond byte ${end}`), { effect: 'undone' });
