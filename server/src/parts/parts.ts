/** The storage of big parts, on this machine's disk or in a bucket, as publishing, leases, downloads and collection use it. */
import { ModelGuardError, type RouteAnswer } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Schema } from '../database/schema.js';

/** A model at a version. */
export interface Ref {
  readonly name: string;
  readonly version: string;
}
/** A part that is stored. */
export interface StoredPart {
  readonly size: number;
}
/** Bytes of an upload, and their announced number. */
export interface Upload {
  readonly size: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}
/** A stored part, opened to be checked: a file, or a source that is read in ranges. */
export interface PartBytes {
  readonly file?: string | undefined;
  readonly size?: number | undefined;
  readonly read?: ((offset: number, length: number) => Promise<Uint8Array | readonly Uint8Array[]>) | undefined;
  close(): Promise<void>;
}

/** A checked big part, and the small part of the check. */
export interface Check {
  /** SHA-384 of the small part, as hex. */
  readonly small: string;
  /** {@link Parts.mark} before the check began. */
  readonly mark: string;
}

/** Signs URLs that open one object to their holder for some minutes. */
export interface UrlSigner {
  /** @param object A part, or its tree ({@link treeOf}). */
  sign(object: string): Promise<{ readonly url: string; readonly expires: number }>;
}

/** The name of a part's tree. */
export const treeOf = (part: string): string => `${part}.tree`;

export type UploadPlan = RouteAnswer<'beginUpload'>;
export type PieceUrls = RouteAnswer<'uploadUrls'>['urls'];
/** A part, and its number of bytes. */
export type CompletedUpload = RouteAnswer<'completeUpload'>;

/** Records a change of a part, in the transaction of the change. */
export type Recording = (trx: Transaction<Schema>, part: string) => Promise<void>;

/** Uploads of parts. */
export interface Uploads {
  /**
   * Begins an upload, or continues it.
   * @throws ALREADY_EXISTS if the name stands for other bytes; NOT_AUTHORISED if another account is uploading it; LIMIT_EXCEEDED
   *   if the account has too many open uploads
   */
  begin(member: Member, ref: Ref, part: string, size: number): Promise<UploadPlan>;
  /** @throws NOT_FOUND, NOT_AUTHORISED; INVALID_ARGUMENT for pieces that the part does not have */
  pieceUrls(member: Member, upload: string, numbers: readonly number[]): Promise<PieceUrls>;
  /**
   * Makes one part of the pieces; a second time changes nothing and records nothing.
   * @throws NOT_FOUND, NOT_AUTHORISED; INVALID_ARGUMENT while pieces are missing
   */
  complete(member: Member, upload: string, record: Recording): Promise<CompletedUpload>;
  /** @throws NOT_FOUND, NOT_AUTHORISED; INVALID_ARGUMENT once it is complete */
  abort(member: Member, upload: string, record: Recording): Promise<void>;
  /**
   * Stores a part that comes through this server. An upload that repeats the stored bytes succeeds: its first answer may have
   * been lost.
   * @throws ALREADY_EXISTS if other bytes have this name; INVALID_ARGUMENT if it is not as long as announced, or if parts do not
   *   come this way; LIMIT_EXCEEDED if there is no room for it, or beyond the account's quota
   */
  put(member: Member, ref: Ref, part: string, upload: Upload): Promise<void>;
}

/**
 * Big parts and their trees. A part is written once, whole or not at all, and never changed. Its bytes are not interpreted here.
 */
export interface Parts extends Uploads {
  readonly urls: UrlSigner;
  find(part: string): Promise<StoredPart | undefined>;
  hasTree(part: string): Promise<boolean>;
  /** Opens the bytes of a found part. Reading throws NOT_FOUND where they are gone. */
  open(part: string, stored: StoredPart): Promise<PartBytes>;
  /** Identifies the stored bytes: it changes when they are replaced. Undefined where the storage does not tell. */
  mark(part: string): Promise<string | undefined>;
  /** Whether the bytes with the check's mark were checked against its small part, and their tree exists. */
  isChecked(part: string, check: Check): Promise<boolean>;
  noteChecked(part: string, check: Check): Promise<void>;
  /** Stores the tree that this server has computed. */
  storeTree(ref: Ref, part: string, tree: Uint8Array): Promise<void>;
  /**
   * Restarts the grace period of a part, so that it is not collected while it is being published, or just after it was replaced.
   */
  touch(part: string): Promise<void>;
  /**
   * Removes parts that are not `referenced` a day after their last use, and abandoned uploads; stops once `stop` is aborted.
   * Returns the removed names.
   */
  collect(referenced: ReadonlySet<string>, stop?: AbortSignal): Promise<readonly string[]>;
  /**
   * Tells quickly whether stored parts can be read now, by a result that may be some seconds old.
   * @throws IO_FAILED where reading them is refused. A storage that does not answer is no refusal: leases go on without it.
   */
  demandReadable(): Promise<void>;
  close(): void;
}

/** The context of rooms that use big parts. */
export interface PartsContext extends Context {
  readonly parts: Parts;
}

export const notUploaded = (part: string): ModelGuardError =>
  new ModelGuardError('NOT_FOUND', `The big part ${part} is not here`, { advice: 'Upload the big part first, then publish.' });

export const otherBytes = (part: string): ModelGuardError =>
  new ModelGuardError('ALREADY_EXISTS', `Other bytes were uploaded as ${part} before`, {
    advice: 'A part is never replaced: protect the model again, which gives it a new name.',
  });

export const noUpload = (upload: string): ModelGuardError =>
  new ModelGuardError('NOT_FOUND', `There is no upload ${upload}`, {
    advice: 'Begin the upload again: what is there already stays.',
  });
