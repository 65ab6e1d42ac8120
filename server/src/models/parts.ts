/** Where big parts are, as publishing, leases, downloads and collecting see it: on this machine's disk, or in a bucket. */
import { ModelGuardError, type RouteAnswer } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Member } from '../context.js';
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
/** Bytes on their way in, and how many were announced. */
export interface Upload {
  readonly size: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}
/** A stored part, opened to be checked: a file, or what is read in ranges. */
export interface PartBytes {
  readonly file?: string | undefined;
  readonly size?: number | undefined;
  readonly read?: ((offset: number, length: number) => Promise<Uint8Array | readonly Uint8Array[]>) | undefined;
  close(): Promise<void>;
}

/** A big part that was checked, and the small part that it was checked against. */
export interface Check {
  /** SHA-384 of the small part, as hex. */
  readonly small: string;
  /** {@link Parts.mark} before the check began. */
  readonly mark: string;
}

/** Addresses that open one object for some minutes, to whoever holds them. */
export interface UrlSigner {
  /** @param object A part, or its tree ({@link treeOf}). */
  sign(object: string): Promise<{ readonly url: string; readonly expires: number }>;
}

/** What the tree of a part is called. */
export const treeOf = (part: string): string => `${part}.tree`;

export type Begun = RouteAnswer<'beginUpload'>;
export type PieceUrls = RouteAnswer<'uploadUrls'>['urls'];
/** A part, and how many bytes it has. */
export type Whole = RouteAnswer<'completeUpload'>;

/** Writes down what is done to a part, in the transaction that does it. */
export type Recording = (trx: Transaction<Schema>, part: string) => Promise<void>;

/** Parts on their way in. */
export interface Uploads {
  /**
   * Begins an upload, or goes on with it.
   * @throws ALREADY_EXISTS if the name stands for something else; NOT_AUTHORISED if somebody else is uploading it; LIMIT_EXCEEDED if the
   *   account has too many open ones
   */
  begin(member: Member, ref: Ref, part: string, size: number): Promise<Begun>;
  /** @throws NOT_FOUND, NOT_AUTHORISED; INVALID_ARGUMENT for pieces that the part does not have */
  pieceUrls(member: Member, upload: string, numbers: readonly number[]): Promise<PieceUrls>;
  /**
   * Makes one part of the pieces; again, it changes nothing and records nothing.
   * @throws NOT_FOUND, NOT_AUTHORISED; INVALID_ARGUMENT while pieces are missing
   */
  complete(member: Member, upload: string, record: Recording): Promise<Whole>;
  /** @throws NOT_FOUND, NOT_AUTHORISED; INVALID_ARGUMENT once it is complete */
  abort(member: Member, upload: string, record: Recording): Promise<void>;
  /**
   * Stores a part that comes through this server. An upload that repeats what is stored succeeds: its first answer may have been lost.
   * @throws ALREADY_EXISTS if other bytes have this name; INVALID_ARGUMENT if it is not as long as announced, or if parts do not come
   *   this way; LIMIT_EXCEEDED if there is no room for it, or beyond the account's quota
   */
  put(member: Member, ref: Ref, part: string, upload: Upload): Promise<void>;
}

/** Big parts and their trees. A part is written once, whole or not at all, and never changed. Nothing here looks into it. */
export interface Parts extends Uploads {
  readonly urls: UrlSigner;
  find(part: string): Promise<StoredPart | undefined>;
  hasTree(part: string): Promise<boolean>;
  /** The bytes of a part that was found. Reading throws NOT_FOUND where they are gone. */
  open(part: string, stored: StoredPart): Promise<PartBytes>;
  /** Names the stored bytes: it changes when they are replaced. Undefined where the storage does not tell. */
  mark(part: string): Promise<string | undefined>;
  /** Whether the bytes of that mark were checked against that small part, and their tree is there. */
  isChecked(part: string, check: Check): Promise<boolean>;
  noteChecked(part: string, check: Check): Promise<void>;
  /** The tree as this server computed it. */
  storeTree(ref: Ref, part: string, tree: Uint8Array): Promise<void>;
  /** Begins the grace period of a part anew: nothing collects it while it is being published, or just after it was replaced. */
  touch(part: string): Promise<void>;
  /**
   * Removes what is not `referenced`, a day after anybody last used it, and uploads that were given up; no more of them once `stop` is
   * aborted. Returns what was removed.
   */
  collect(referenced: ReadonlySet<string>, stop?: AbortSignal): Promise<readonly string[]>;
  /**
   * Whether stored parts can be read now; quickly, from what is known for some seconds.
   * @throws IO_FAILED where reading them is refused. A storage that does not answer is no refusal: leases go on without it.
   */
  demandReadable(): Promise<void>;
  close(): void;
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
