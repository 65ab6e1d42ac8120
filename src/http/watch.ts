/** Ends an exchange with a server early: by a signal, a deadline, or a silence that lasts too long. */
import { type AbortSignalLike, isAbort } from '../base/abort.js';
import { AbortError, ModelGuardError } from '../errors.js';
import { LEAST_BYTES, LeastRate } from './least-rate.js';
import { withRetryHint } from './retry-hints.js';
import type { Timers } from './timers.js';

interface Destroyable {
  destroy(error?: Error): unknown;
  on(event: 'error', listener: () => void): unknown;
}
interface Limits {
  readonly signal?: AbortSignalLike | undefined;
  /** Milliseconds without a byte. */
  readonly silence: number;
  /** Milliseconds in all; absent: as long as bytes come. */
  readonly deadline?: number | undefined;
  readonly timers: Timers;
  /** The name of the other side, for messages. */
  readonly where: string;
}

/** Destroys what it watches; the reason is what the caller sees. Its maker calls `end`. */
export class Watch {
  readonly #limits: Limits;
  readonly #watched = new Set<Destroyable>();
  readonly #forgetDeadline: (() => void) | undefined;
  #forgetConnecting: (() => void) | undefined;
  readonly #rate: LeastRate;
  #reason: ModelGuardError | undefined;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#rate = new LeastRate(limits.silence);
    const { deadline, timers } = limits;
    this.#forgetDeadline = deadline === undefined ? undefined : timers.after(deadline, () => this.#expire(deadline));
    limits.signal?.addEventListener('abort', this.#abort);
    if (limits.signal?.aborted) this.#abort();
  }

  readonly #abort = (): void => this.stop(new AbortError(this.#limits.signal?.reason));

  #expire(after: number): void {
    const late = new ModelGuardError('TIMED_OUT', `${this.#limits.where} did not answer within ${after} ms`);
    this.stop(withRetryHint(late, { effect: 'unknown' }));
  }

  /** Why it was ended early. */
  get reason(): ModelGuardError | undefined {
    return this.#reason;
  }

  /** Limits the wait for a new connection, in milliseconds. The returned function is called when it stands. */
  limitConnecting(limit: number): () => void {
    this.#forgetConnecting = this.#limits.timers.after(limit, () => this.#expire(limit));
    return this.#forgetConnecting;
  }

  over(target: Destroyable): void {
    // Waiting callers get the reason; there may be none any more.
    target.on('error', () => undefined);
    this.#watched.add(target);
    if (this.#reason) target.destroy(this.#reason);
  }

  stop(reason: ModelGuardError): void {
    this.#reason ??= reason;
    for (const target of this.#watched) target.destroy(this.#reason);
  }

  /** Waits for the other side, no longer than it may be silent. */
  async wait<T>(waiting: Promise<T>): Promise<T> {
    const { silence, timers } = this.#limits;
    const forget = timers.after(silence, () => this.#expire(silence));
    try {
      return await waiting;
    } catch (error) {
      throw this.#reason ?? error;
    } finally {
      forget();
    }
  }

  /** The next piece of the answer, which may be neither late nor too little. TIMED_OUT */
  async next(pieces: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    const { silence, timers, where } = this.#limits;
    const before = timers.now();
    const next = await this.wait(pieces.next());
    if (next.done || this.#rate.isEnough(timers.now() - before, next.value.length)) return next;
    const slow = new ModelGuardError('TIMED_OUT', `${where} sent fewer than ${LEAST_BYTES} bytes in ${silence} ms`);
    this.stop(withRetryHint(slow, { effect: 'unknown' }));
    throw this.#reason ?? slow;
  }

  end(): void {
    this.#forgetDeadline?.();
    this.#forgetConnecting?.();
    this.#limits.signal?.removeEventListener('abort', this.#abort);
    this.#watched.clear();
  }
}

/** Several exchanges within one deadline. TIMED_OUT */
export async function within<T>(
  milliseconds: number,
  signal: AbortSignalLike | undefined,
  task: (limited: AbortSignalLike) => Promise<T>,
): Promise<T> {
  const limited = new AbortController();
  const abort = (): void => limited.abort(signal?.reason);
  const late = new ModelGuardError('TIMED_OUT', `The server did not answer within ${milliseconds} ms`);
  const timer = setTimeout(() => limited.abort(late), milliseconds);
  signal?.addEventListener('abort', abort);
  if (signal?.aborted) abort();
  try {
    return await task(limited.signal);
  } catch (error) {
    throw limited.signal.reason === late && isAbort(error, limited.signal) ? late : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
  }
}
