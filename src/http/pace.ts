/** Asking again: how often, after how long, and of what. */
import { type AbortSignalLike, throwIfAborted } from '../abort.js';
import { AbortError } from '../errors.js';
import { hintOf } from './hints.js';

/** Time and chance, so that tests need neither. */
export interface Pace {
  sleep(milliseconds: number, signal: AbortSignalLike | undefined): Promise<void>;
  /** 0 to 1. */
  random(): number;
}

const ATTEMPTS = 4;
const FIRST_MS = 200;
const LONGEST_MS = 5_000;
/** A server that wants more is left alone. */
const PATIENCE_MS = 10_000;

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
  /** Whether it may be done twice: then also after an attempt whose outcome nobody knows. */
  readonly repeatable: boolean;
  readonly signal?: AbortSignalLike | undefined;
  /** In all; 1: never again. */
  readonly attempts?: number | undefined;
  /** Whether the attempt that failed brought the task forward: then counting begins anew. */
  readonly progressed?: (() => boolean) | undefined;
}

/** Runs `task` until it succeeds or asking again cannot help, at most `attempts` times, with a pause that doubles and is cut by chance, so that clients do not come back together. */
export async function retried<T>(
  { pace, repeatable, signal, attempts = ATTEMPTS, progressed }: Retry,
  task: (attempt: number) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    throwIfAborted(signal);
    try {
      return await task(attempt);
    } catch (error) {
      const hint = hintOf(error);
      if (progressed?.()) attempt = 1;
      if (!hint || attempt >= attempts || (hint.effect === 'unknown' && !repeatable)) throw error;
      const backoff = Math.min(FIRST_MS * 2 ** (attempt - 1), LONGEST_MS) * (0.5 + pace.random() / 2);
      const wanted = hint.after ?? 0;
      if (wanted > PATIENCE_MS) throw error;
      await pace.sleep(Math.max(backoff, wanted), signal);
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
