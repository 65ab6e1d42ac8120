/** Whether an answer is the range that was asked for (RFC 9110, section 14.4). */
import { ModelGuardError } from '../errors.js';
import { hinted } from '../http/hints.js';

/** What was asked for. */
export interface WantedRange {
  readonly offset: number;
  readonly length: number;
  /** Of the whole object. */
  readonly size: number;
}

/** What earlier answers said, shared by all that are asked for one object. */
export interface KnownObject {
  etag?: string | undefined;
}

/** The head of what came. */
export interface RangeHead {
  readonly status: number;
  readonly contentRange?: string | undefined;
  readonly contentLength?: number | undefined;
  readonly etag?: string | undefined;
}

/**
 * Refuses anything else than the bytes that were asked for. Asking again may help: what stands between may err once. So after a changed
 * entity tag the next one is taken: the first may have been the wrong one, and bytes of another object do not decrypt.
 * @param known Learns the entity tag, for the next answers.
 * @throws RESPONSE_INVALID
 */
export function checkRangeAnswer(
  { status, contentRange, contentLength, etag }: RangeHead,
  { offset, length, size }: WantedRange,
  known: KnownObject,
): void {
  const whole = status === 200 && offset === 0 && length === size && contentRange === undefined;
  const exact = status === 206 && contentRange === `bytes ${offset}-${offset + length - 1}/${size}`;
  if (!whole && !exact)
    throw invalid(
      status === 200
        ? 'answers with a whole object where a range was asked for'
        : `answers with another range than bytes ${offset} to ${offset + length - 1} of ${size}`,
    );
  if (contentLength !== undefined && contentLength !== length)
    throw invalid(`answers with ${contentLength} bytes where ${length} were asked for`);
  if (known.etag !== undefined && etag !== undefined && etag !== known.etag) {
    known.etag = undefined;
    throw invalid('changed the object while it was read');
  }
  known.etag ??= etag;
}

const invalid = (what: string): ModelGuardError =>
  hinted(
    new ModelGuardError('RESPONSE_INVALID', `The storage ${what}`, {
      advice: 'Check that it answers ranges, and that no proxy or CDN before it changes them.',
    }),
    { effect: 'undone' },
  );
