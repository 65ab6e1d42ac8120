/**
 * The interface to an object storage: a flat name space of keys, each with bytes, and uploads in pieces. An implementation maps it to one
 * provider's API; everything that is known about models stands in `store.ts`.
 */
import type { AbortSignalLike } from '../../base/abort.js';
import type { RangeResponse } from '../../transfer/range-source.js';

/** Milliseconds. The least time for completing an upload: storages take minutes to put thousands of pieces together. */
export const COMPLETE_MS = 5 * 60_000;

/** The purpose of a request, for errors, and its cancellation. */
export interface ObjectRequest {
  /** The object as errors name it; it begins a sentence: `The small part of net@1`. */
  readonly what: string;
  readonly signal?: AbortSignalLike | undefined;
}

export interface ObjectFacts {
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Changes with the bytes. Absent where the storage has none. */
  readonly etag?: string | undefined;
}

export interface ListedObject {
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

/** An upload in pieces that is neither complete nor aborted. */
export interface StartedUpload {
  readonly key: string;
  readonly upload: string;
  /** Milliseconds since 1970. */
  readonly started: number;
}

/** A piece of an upload that the storage holds. */
export interface StoredPiece {
  /** From 1. */
  readonly number: number;
  readonly size: number;
  /** Changes with the bytes. Where it is their MD5 in hexadecimal digits, a later run need not send the piece again. */
  readonly etag: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

/**
 * An object storage, such as a bucket of S3. Every method bounds what it reads and waits for, repeats what may be repeated, and throws
 * ModelGuardError alone: PERMISSION_DENIED, NO_SPACE, SERVER_UNREACHABLE, SERVER_FAILED, RESPONSE_INVALID, TIMED_OUT, CLOCK_SKEWED,
 * INVALID_ARGUMENT, ABORT_ERR, and the codes that it names.
 */
export interface ObjectStorage {
  /** @throws NOT_FOUND */
  head(key: string, request: ObjectRequest): Promise<ObjectFacts>;
  /**
   * The whole object.
   * @param request With `attempts: 1` it is not repeated.
   * @throws NOT_FOUND; LIMIT_EXCEEDED above `limit` bytes, before they are read
   */
  read(key: string, limit: number, request: ObjectRequest & { readonly attempts?: number | undefined }): Promise<Uint8Array>;
  /** One request for the bytes [offset, offset + length), which is not repeated. */
  range(key: string, offset: number, length: number, request: ObjectRequest): Promise<RangeResponse>;
  /**
   * Writes an object whole or not at all.
   * @throws with `ifAbsent` ALREADY_EXISTS where the key has an object, also when two writers race
   */
  write(key: string, bytes: Uint8Array, request: ObjectRequest & { readonly ifAbsent?: boolean | undefined }): Promise<void>;
  /** A key without an object is no error. */
  remove(key: string, request: ObjectRequest): Promise<void>;
  list(prefix: string, request: ObjectRequest): AsyncIterable<ListedObject>;

  /** Starts an upload in pieces of at least 5 MiB, and returns its id. */
  createUpload(key: string, request: ObjectRequest): Promise<string>;
  /** Sends a piece, which is not repeated. Returns its entity tag. */
  sendPiece(key: string, upload: string, number: number, bytes: Uint8Array, request: ObjectRequest): Promise<string>;
  /** @throws NOT_FOUND for an upload that is complete or aborted */
  listPieces(key: string, upload: string, request: ObjectRequest): AsyncIterable<StoredPiece>;
  /**
   * Makes the object of the pieces in `etags`, by number.
   * @param request `timeoutMs`: milliseconds for the answer, which takes long for many pieces.
   * @throws NOT_FOUND for an upload that is complete or aborted, also by an earlier attempt of this call
   */
  completeUpload(
    key: string,
    upload: string,
    etags: ReadonlyMap<number, string>,
    request: ObjectRequest & { readonly timeoutMs: number },
  ): Promise<void>;
  /** @throws NOT_FOUND for an upload that is complete or aborted */
  abortUpload(key: string, upload: string, request: ObjectRequest): Promise<void>;
  listUploads(prefix: string, request: ObjectRequest): AsyncIterable<StartedUpload>;
}
