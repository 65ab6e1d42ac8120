/** Retries: which failures, how often, and after which pause. */
import { type AbortSignalLike, throwIfAborted } from '../base/abort.js';
import { AbortError } from '../errors.js';
import { retryHintOf } from './retry-hints.js';

/** Time and chance, so that tests need neither. */
export interface Pace {
  /** `cause`: the failure that is waited after, where there was one. */
  sleep(milliseconds: number, signal: AbortSignalLike | undefined, cause?: unknown): Promise<void>;
  /** 0 to 1. */
  random(): number;
}

const ATTEMPTS = 4;
const FIRST_MS = 200;
const LONGEST_MS = 5_000;
/** Announced pauses in all. Two windows of a guard server's rate limits, which are a minute long. */
export const PATIENCE_MS = 120_000;

export const pace: Pace = {
  random: Math.random,
  sleep: (milliseconds, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(over, milliseconds);
      function over(): void {
        clearTimeout(timer);
        signal?.removeEventListener('abort', over);
        if (signal?.aborted) reject(new AbortError(signal.reason));
        else resolve();
      }
      signal?.addEventListener('abort', over);
      if (signal?.aborted) over();
    }),
};

export interface Retry {
  readonly pace: Pace;
  /** Whether the task may run twice: then it is repeated after an attempt with an unknown outcome, too. */
  readonly repeatable: boolean;
  readonly signal?: AbortSignalLike | undefined;
  /** In all; 1: never again, unless `patience` is given: then only after a pause that the server announced. */
  readonly attempts?: number | undefined;
  /** How long pauses that the server announces (`Retry-After`) may be in all, in milliseconds. */
  readonly patience?: number | undefined;
  /** Whether the attempt that failed brought the task forward: then counting begins anew. */
  readonly progressed?: (() => boolean) | undefined;
}

/**
 * Runs `task` until it succeeds or asking again cannot help, at most `attempts` times, with a pause that doubles and is cut by chance, so
 * that clients do not come back together. It comes after the pause that the server wants; a server that wants more than `patience` is left
 * alone.
 */
export async function withRetries<T>(
  { pace, repeatable, signal, attempts = ATTEMPTS, patience = attempts === 1 ? 0 : PATIENCE_MS, progressed }: Retry,
  task: (attempt: number) => Promise<T>,
): Promise<T> {
  let announced = 0;
  for (let attempt = 1; ; attempt += 1) {
    throwIfAborted(signal);
    try {
      return await task(attempt);
    } catch (error) {
      const hint = retryHintOf(error);
      if (progressed?.()) {
        attempt = 1;
        announced = 0;
      }
      if (!hint || (hint.effect === 'unknown' && !repeatable)) throw error;
      const isAnnounced = hint.effect === 'undone' && hint.after !== undefined;
      if (attempt >= (isAnnounced ? Math.max(attempts, ATTEMPTS) : attempts)) throw error;
      const wanted = hint.after ?? 0;
      announced += wanted;
      if (announced > patience) throw error;
      const backoff = Math.min(FIRST_MS * 2 ** (attempt - 1), LONGEST_MS) * (0.5 + pace.random() / 2);
      await pace.sleep(wanted + backoff, signal, error);
    }
  }
}

/** Of the longest date. */
const LONGEST_HEADER = 64;

/** `Retry-After`, in seconds or as a date, to milliseconds. */
export function retryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined || header.length > LONGEST_HEADER) return undefined;
  if (/^[0-9]{1,9}$/.test(header)) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
