/** Types of a decrypted model: in guarded memory, or read piece by piece. */

export interface NativeModel {
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** The file's bytes, no copy; the same array every time. LIMIT_EXCEEDED above 4 GiB, DISPOSED after dispose(). */
  bytes(index: number): Uint8Array;
  /** A copy in guarded memory that is wiped with the model. */
  read(index: number, offset: number, length: number): Promise<Uint8Array>;
  protection(): { locked: boolean; dontdump: boolean; hugePages: boolean; memfd: boolean };
  /** A reader comes, and must leave: dispose() wipes when none is there. DISPOSED */
  enter(): void;
  leave(): void;
  /** Wipes what the arrays given out show, returns the pages. Idempotent, never throws. */
  dispose(): void;
  /** Resolves when no read is in flight any more. */
  settled(): Promise<void>;
}

/** The plaintext of a container on disk, piece by piece. */
export interface NativeReader {
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** A copy in ordinary memory, at most 64 MiB; authentic. SOURCE_CHANGED if the file is not what it was at opening. */
  read(index: number, offset: number, length: number): Promise<Uint8Array>;
  /** Lets go of the keys and the file, at once or when the last read is over. Further reads are DISPOSED. */
  close(): void;
}
