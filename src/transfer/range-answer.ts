/** Checks that an answer is the requested range (RFC 9110, section 14.4). */
import { ModelGuardError } from '../errors.js';
import { withRetryHint } from '../http/retry-hints.js';
import type { RangeHead } from './range-source.js';

/** A requested range. */
export interface WantedRange {
  readonly offset: number;
  readonly length: number;
  /** Bytes of the whole object. */
  readonly size: number;
}

/** `bytes 0-9/100`, also as `Bytes 0-9/100` and `bytes=0-9/100`; `*` is an unknown size. */
const CONTENT_RANGE = /^bytes[ =]([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15}|\*)$/i;

/** Parses a Content-Range header; `size` is undefined for `*`. Undefined for a missing or unknown header. */
export function readContentRange(header = ''): { first: number; last: number; size: number | undefined } | undefined {
  const [, first, last, size] = CONTENT_RANGE.exec(header.trim()) ?? [];
  if (first === undefined) return undefined;
  return { first: Number(first), last: Number(last), size: size === '*' ? undefined : Number(size) };
}

/**
 * Refuses an answer that is not exactly the requested range. Entity tags are ignored: mirrors give the same file different ones, and bytes
 * of another object do not decrypt. The error may be retried, because a proxy may err once.
 * @throws RESPONSE_INVALID
 */
export function checkRangeAnswer(
  { status, contentRange, contentLength }: RangeHead,
  { offset, length, size }: WantedRange,
): void {
  const range = readContentRange(contentRange);
  const whole = status === 200 && offset === 0 && length === size && contentRange === undefined;
  const exact = status === 206 && range?.first === offset && range.last === offset + length - 1 && (range.size ?? size) === size;
  if (!whole && !exact)
    throw invalid(
      status === 200
        ? 'answers with a whole object where a range was asked for'
        : `answers with another range than bytes ${offset} to ${offset + length - 1} of ${size}`,
    );
  if (contentLength !== undefined && contentLength !== length)
    throw invalid(`answers with ${contentLength} bytes where ${length} were asked for`);
}

const invalid = (what: string): ModelGuardError =>
  withRetryHint(
    new ModelGuardError('RESPONSE_INVALID', `The storage ${what}`, {
      advice: 'Check that it answers ranges, and that no proxy or CDN before it changes them.',
    }),
    { effect: 'undone' },
  );
