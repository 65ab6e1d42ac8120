import { AbortError, isModelGuardError } from './errors.js';

/** The part of an `AbortSignal` that is used: any signal of any runtime fits. */
export interface AbortSignalLike {
  /** Whether it has been aborted. */
  readonly aborted: boolean;
  /** Becomes the `cause` of the AbortError. */
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void): void;
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
    if (signal?.aborted && isAbort(error, signal)) throw new AbortError(signal.reason);
    throw error;
  }
}

export async function* stoppable<T>(pieces: AsyncIterable<T>, signal: AbortSignalLike | undefined): AsyncGenerator<T> {
  for await (const piece of pieces) {
    throwIfAborted(signal);
    yield piece;
  }
}

/** Whether an error is what `signal` asked for. */
export function isAbort(error: unknown, signal: AbortSignalLike): boolean {
  if (error === signal.reason) return true;
  if (isModelGuardError(error)) return error.code === 'ABORT_ERR';
  return error instanceof Error && error.name === 'AbortError';
}
