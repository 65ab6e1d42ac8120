import { isError } from '../errors.js';

/** What is known of a failed exchange beside its error: whether asking again can help, and when. */
export interface Hint {
  /**
   * `undone`: the server did nothing, so that anything may be asked again. `unknown`: it may have done it, so that only what can be done
   * twice is.
   */
  readonly effect: 'undone' | 'unknown';
  /** The server wants so many milliseconds to pass. */
  readonly after?: number | undefined;
}

const hints = new WeakMap<object, Hint>();

/** Notes `hint` of `error`, for `retried`; errors without one are final. */
export function hinted<Failure extends Error>(error: Failure, hint: Hint): Failure {
  hints.set(error, hint);
  return error;
}

export const hintOf = (error: unknown): Hint | undefined => (isError(error) ? hints.get(error) : undefined);
