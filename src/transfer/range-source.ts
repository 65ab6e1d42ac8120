/** The interface from which ranged downloads read. */
import type { AbortSignalLike } from '../base/abort.js';
import type { HttpResponse } from '../http/response.js';

/** The head of a response to a request for a range. */
export interface RangeHead {
  readonly status: number;
  readonly contentRange?: string | undefined;
  readonly contentLength?: number | undefined;
}

/** A response to a request for a range. Its head is not checked yet. */
export interface RangeResponse extends RangeHead {
  /** The body, in pieces that are never reused. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Ends the request. Idempotent; without effect after the body was read to its end. */
  discard(): void;
}

/** An object that is read in ranges, with a request for each. */
export interface RangeSource {
  /** Bytes of the whole object. */
  readonly size: number;
  /**
   * One request for the bytes [offset, offset + length). It settles soon after `signal` is aborted. Errors that may be tried again carry a
   * hint (http/retry-hints.ts): the rest of the range is then requested anew.
   */
  range(offset: number, length: number, signal: AbortSignalLike): Promise<RangeResponse>;
  /** The `.tree` bytes, if they are stored. It settles soon after `signal` is aborted. */
  tree(signal: AbortSignalLike): Promise<Uint8Array | undefined>;
}

/** An HTTP response as the response to a request for a range. */
export const rangeResponse = (answer: HttpResponse): RangeResponse => ({
  status: answer.status,
  contentRange: answer.headers['content-range'],
  contentLength: answer.headers['content-length'] === undefined ? undefined : Number(answer.headers['content-length']),
  bytes: answer.pieces(),
  discard: () => answer.discard(),
});
