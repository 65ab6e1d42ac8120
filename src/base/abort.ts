/** Cancellation: waits that end with a signal, and one shape for the error of it. */
import { AbortError, hasCode, isError, isModelGuardError } from '../errors.js';

/** The part of an `AbortSignal` that is used: any signal of any runtime fits. */
export interface AbortSignalLike {
  /** Whether it has been aborted. */
  readonly aborted: boolean;
  /** Becomes the `cause` of the AbortError. */
  readonly reason?: unknown;
  /** Has `listener` called once when the signal is aborted. */
  addEventListener(type: 'abort', listener: () => void): void;
  /** Takes a listener back. */
  removeEventListener(type: 'abort', listener: () => void): void;
}

export function throwIfAborted(signal: AbortSignalLike | undefined): void {
  if (signal?.aborted) throw new AbortError(signal.reason);
}

/**
 * Runs `task`; whatever shape a cancellation takes on its way (native code, a DOMException of a store, the reason itself),
 * the caller sees one AbortError with the signal's reason.
 */
export async function abortable<T>(signal: AbortSignalLike | undefined, task: () => Promise<T>): Promise<T> {
  throwIfAborted(signal);
  try {
    return await task();
  } catch (error) {
    if (signal?.aborted && isAbort(error, signal) && !isOwn(error, signal)) throw new AbortError(signal.reason);
    throw error;
  }
}

/** It is the AbortError of `signal` already, which may say more. */
const isOwn = (error: unknown, signal: AbortSignalLike): boolean => hasCode(error, 'ABORT_ERR') && error.cause === signal.reason;

interface Leaving<T> {
  /** Milliseconds after the abort in which `promise` may still settle: what writes needs time to clean up. Default: 0. */
  readonly grace?: number | undefined;
  /** Given a result that comes after the caller has left, such as a handle that must be closed. */
  readonly late?: ((value: T) => unknown) | undefined;
  /** The error of the abort. Default: the signal's reason. */
  readonly abortError?: (() => unknown) | undefined;
}

/**
 * Settles as `promise` does, or rejects as soon as `signal` is aborted. It leaves nothing behind at the signal when `promise` has settled.
 * `Promise.race` with one promise of the abort would: that promise keeps the result of every race until it settles itself.
 */
export function unlessAborted<T>(
  signal: AbortSignalLike,
  promise: PromiseLike<T>,
  { grace = 0, late, abortError = () => signal.reason }: Leaving<T> = {},
): Promise<T> {
  return new Promise((resolve, reject) => {
    let left = false;
    let timer: NodeJS.Timeout | undefined;
    const leave = (): void => {
      left = true;
      reject(abortError());
    };
    const abort = (): void => {
      signal.removeEventListener('abort', abort);
      if (grace === 0) leave();
      else timer = setTimeout(leave, grace);
    };
    const settle = (): void => {
      signal.removeEventListener('abort', abort);
      clearTimeout(timer);
    };
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    promise.then(
      (value) => {
        settle();
        if (left) late?.(value);
        else resolve(value);
      },
      (error: unknown) => {
        settle();
        reject(error);
      },
    );
  });
}

/**
 * Waits for a promise of code that is not ours, and that may ignore `signal`, no longer than until it is aborted.
 * @throws ABORT_ERR, and what the promise rejects with
 */
export async function untilAborted<T>(
  signal: AbortSignalLike | undefined,
  promise: PromiseLike<T>,
  leaving: Omit<Leaving<T>, 'abortError'> = {},
): Promise<T> {
  if (!signal) return await promise;
  return await unlessAborted(signal, promise, { ...leaving, abortError: () => new AbortError(signal.reason) });
}

/** The same pieces, until `signal` is aborted; a source that does not heed it is left where it is. */
export async function* stoppable<T>(pieces: AsyncIterable<T>, signal: AbortSignalLike | undefined): AsyncGenerator<T> {
  const iterator = pieces[Symbol.asyncIterator]();
  try {
    for (;;) {
      throwIfAborted(signal);
      const { done, value } = await untilAborted(signal, iterator.next());
      if (done) return;
      yield value;
    }
  } finally {
    const ended = Promise.resolve(iterator.return?.());
    if (signal?.aborted) ended.catch(() => undefined);
    else await ended;
  }
}

/** Whether an error is the abort that `signal` asked for. */
export function isAbort(error: unknown, signal: AbortSignalLike): boolean {
  if (error === signal.reason) return true;
  if (isModelGuardError(error)) return error.code === 'ABORT_ERR';
  return isError(error) && error.name === 'AbortError';
}
