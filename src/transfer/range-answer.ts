/** Whether an answer is the range that was asked for (RFC 9110, section 14.4). */
import { ModelGuardError } from '../errors.js';
import type { Answer } from '../http/answer.js';
import { hinted } from '../http/hints.js';

/** What was asked for. */
export interface WantedRange {
  readonly offset: number;
  readonly length: number;
  /** Of the whole object. */
  readonly size: number;
}

/** The head of what came. */
export interface RangeHead {
  readonly status: number;
  readonly contentRange?: string | undefined;
  readonly contentLength?: number | undefined;
}

/** `bytes 0-9/100`, also as `Bytes 0-9/100` and `bytes=0-9/100`; `*` is a size that is not told. */
const CONTENT_RANGE = /^bytes[ =]([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15}|\*)$/i;

/** The range that an answer says it is; `size` is undefined where it is not told. Undefined where it says nothing that is known. */
export function readContentRange(header = ''): { first: number; last: number; size: number | undefined } | undefined {
  const [, first, last, size] = CONTENT_RANGE.exec(header.trim()) ?? [];
  if (first === undefined) return undefined;
  return { first: Number(first), last: Number(last), size: size === '*' ? undefined : Number(size) };
}

/**
 * Refuses anything else than as many bytes as were asked for, from where they were asked for. Entity tags say nothing here: mirrors give
 * the same file different ones, and bytes of another object do not decrypt. Asking again may help, as what stands between may err once.
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

/** The head of an answer over HTTP. */
export const rangeHeadOf = ({ status, headers }: Pick<Answer, 'status' | 'headers'>): RangeHead => ({
  status,
  contentRange: headers['content-range'],
  contentLength: headers['content-length'] === undefined ? undefined : Number(headers['content-length']),
});

const invalid = (what: string): ModelGuardError =>
  hinted(
    new ModelGuardError('RESPONSE_INVALID', `The storage ${what}`, {
      advice: 'Check that it answers ranges, and that no proxy or CDN before it changes them.',
    }),
    { effect: 'undone' },
  );
