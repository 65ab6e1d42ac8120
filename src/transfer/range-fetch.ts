/** Fetches one range of an object into memory. */
import { unlessAborted } from '../base/abort.js';
import { ByteRanges } from '../base/byte-ranges.js';
import { ModelGuardError } from '../errors.js';
import { LEAST_BYTES } from '../http/least-rate.js';
import { type Pace, withRetries } from '../http/retry.js';
import { withRetryHint } from '../http/retry-hints.js';
import type { Timers } from '../http/timers.js';
import { checkRangeAnswer } from './range-answer.js';
import type { RangeSource } from './range-source.js';

const ATTEMPTS = 6;
/** Bytes. An attempt that received so many does not count, so that a fetch ends even over a connection that breaks again and again. */
const PROGRESS = 256 * 1024;

interface FetchLimits {
  readonly pace: Pace;
  readonly timers: Timers;
  /** Milliseconds. */
  readonly timeoutMs: number;
}

/** A reader that waits for the bytes before `end`. */
interface Waiter {
  readonly end: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Fetches a range of a source into a buffer of its length, and resumes where a connection broke. */
export class RangeFetch {
  readonly start: number;
  readonly end: number;
  readonly buffer: Uint8Array;
  readonly #source: RangeSource;
  readonly #limits: FetchLimits;
  readonly #signal: AbortSignal;
  /** Bytes that readers took or skipped. */
  readonly #taken = new ByteRanges();
  readonly #waiters = new Set<Waiter>();
  /** Where the next byte goes. */
  #received: number;
  #failure: { readonly error: unknown } | undefined;
  /** Resolves when the fetch has ended, with or without success; never rejects. */
  readonly ended: Promise<void>;

  constructor(source: RangeSource, start: number, buffer: Uint8Array, limits: FetchLimits, signal: AbortSignal) {
    this.#source = source;
    this.start = start;
    this.end = start + buffer.length;
    this.buffer = buffer;
    this.#received = start;
    this.#limits = limits;
    this.#signal = signal;
    this.ended = this.#fetch().catch((error: unknown) => {
      this.#failure = { error };
      for (const waiter of this.#waiters) waiter.reject(error);
      this.#waiters.clear();
    });
  }

  /** Whether any of the bytes [start, end) was taken or skipped before. */
  wasTaken(start: number, end: number): boolean {
    return this.#taken.overlaps(start, end);
  }

  /** Whether every byte was taken or skipped. */
  get spent(): boolean {
    return this.#taken.covers(this.start, this.end);
  }

  /** Waits for the bytes [start, end), which may be taken once. A view of the buffer. */
  async take(start: number, end: number): Promise<Uint8Array> {
    this.skip(start, end);
    await this.#until(end);
    return this.buffer.subarray(start - this.start, end - this.start);
  }

  async #until(end: number): Promise<void> {
    if (this.#received >= end) return;
    if (this.#failure) throw this.#failure.error;
    await new Promise<void>((resolve, reject) => this.#waiters.add({ end, resolve, reject }));
  }

  /** Marks bytes that will not be taken from here. */
  skip(start: number, end: number): void {
    this.#taken.add(start, end);
  }

  async #fetch(): Promise<void> {
    const { pace } = this.#limits;
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

  /** One request, until the end of the range, or until the connection breaks or is too slow. */
  async #attempt(): Promise<void> {
    const attempt = new AbortController();
    const stop = (): void => attempt.abort(this.#signal.reason);
    this.#signal.addEventListener('abort', stop);
    const endWatch = this.#watch(attempt);
    try {
      await this.#request(attempt.signal);
    } finally {
      endWatch();
      this.#signal.removeEventListener('abort', stop);
      attempt.abort();
    }
  }

  /** Requests the missing bytes. It ends with `signal`, even where the source ignores that. */
  async #request(signal: AbortSignal): Promise<void> {
    const [offset, length] = [this.#received, this.end - this.#received];
    const response = await unlessAborted(signal, this.#source.range(offset, length, signal), {
      late: (unused) => unused.discard(),
    });
    const pieces = response.bytes[Symbol.asyncIterator]();
    try {
      checkRangeAnswer(response, { offset, length, size: this.#source.size });
      for (;;) {
        const next = await unlessAborted(signal, pieces.next());
        if (next.done) break;
        this.#receive(next.value);
      }
      if (this.#received < this.end) throw short(this.#received, this.end);
    } finally {
      response.discard();
      // Not awaited: a source that ignores its signal may never return.
      Promise.resolve(pieces.return?.()).catch(() => undefined);
    }
  }

  #receive(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#received + bytes.length > this.end) throw long(this.end);
    this.buffer.set(bytes, this.#received - this.start);
    this.#received += bytes.length;
    for (const waiter of this.#waiters) {
      if (waiter.end > this.#received) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  /** Ends an attempt that receives almost nothing. Returns a function that ends the watch. */
  #watch(attempt: AbortController): () => void {
    const { timers, timeoutMs } = this.#limits;
    let seen = this.#received;
    let cancel = (): void => {};
    const check = (): void => {
      if (this.#received - seen < LEAST_BYTES) {
        const late = new ModelGuardError('TIMED_OUT', `The storage sent fewer than ${LEAST_BYTES} bytes in ${timeoutMs} ms`);
        attempt.abort(withRetryHint(late, { effect: 'undone' }));
        return;
      }
      seen = this.#received;
      cancel = timers.after(timeoutMs, check);
    };
    cancel = timers.after(timeoutMs, check);
    return () => cancel();
  }
}

const short = (at: number, end: number): ModelGuardError =>
  withRetryHint(new ModelGuardError('RESPONSE_INVALID', `The storage's answer ends ${end - at} bytes early`), {
    effect: 'undone',
  });
const long = (end: number): ModelGuardError =>
  withRetryHint(new ModelGuardError('RESPONSE_INVALID', `The storage's answer goes on beyond byte ${end}`), { effect: 'undone' });
