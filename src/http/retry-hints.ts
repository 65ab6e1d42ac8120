import { ErrorFact } from '../base/error-fact.js';

/** Facts about a failed exchange beside its error: whether trying again can help, and when. */
export interface RetryHint {
  /**
   * `undone`: the server did nothing, so that anything may be asked again. `unknown`: it may have done it, so that only what can be done
   * twice is.
   */
  readonly effect: 'undone' | 'unknown';
  /** The server wants so many milliseconds to pass. */
  readonly after?: number | undefined;
}

const retryHint = new ErrorFact<RetryHint>('retry hint');

/** Marks `error` for `withRetries`; errors without a hint are final. */
export const withRetryHint = <Failure extends Error>(error: Failure, hint: RetryHint): Failure => retryHint.set(error, hint);

export const retryHintOf = (error: unknown): RetryHint | undefined => retryHint.get(error);
