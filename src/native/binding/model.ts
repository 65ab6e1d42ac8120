/** Types of a decrypted model: in guarded memory, or read piece by piece. */

import type { NativeSource } from './source.js';

export interface NativeModel {
  /** It has no memory of its own to keep. */
  readonly isLazy?: true;
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** The file's bytes, no copy; the same array every time. LIMIT_EXCEEDED above `setMaxArray`, DISPOSED after dispose(). */
  bytes(index: number): Uint8Array;
  /** A copy in guarded memory that is wiped with the model. */
  read(index: number, offset: number, length: number): Promise<Uint8Array>;
  /** Of the file's memfd. INVALID_ARGUMENT for a model that was not loaded as a path, DISPOSED. */
  descriptor(index: number): number;
  protection(): { locked: boolean; dontdump: boolean; hugePages: boolean; memfd: boolean };
  /** A reader comes, and must leave: dispose() wipes when none is there. DISPOSED */
  enter(): void;
  leave(): void;
  /** Wipes what the arrays given out show, returns the pages. Idempotent, never throws. False where a reader postpones it. */
  dispose(): boolean;
  /** Resolves when no read is in flight any more. */
  settled(): Promise<void>;
}

/** The plaintext of a container, piece by piece. */
export interface NativeReader {
  readonly files: readonly { readonly path: string; readonly size: number }[];
  /** A copy in ordinary memory, at most 64 MiB; authentic. SOURCE_CHANGED if the file is not what it was at opening. */
  read(index: number, offset: number, length: number): Promise<Uint8Array>;
  /**
   * A copy in guarded memory, no longer than `setMaxArray` says, that `close` wipes. `from`: the big part as a script, where the reader has no file, or its file
   * has gone; each read has its own, and rejects with what that rejects with.
   */
  readGuarded(index: number, offset: number, length: number, from?: NativeSource): Promise<Uint8Array>;
  /**
   * Lets go of the keys and the file, at once or when the last read is over, and wipes what `readGuarded` gave. Further reads, and those of
   * `readGuarded` in flight, are DISPOSED.
   */
  close(): void;
}
