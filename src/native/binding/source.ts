/** Types that name where the addon reads bytes. */

/** Where payload or big-part bytes come from. Exactly one of `file`, `bytes`, `read`. */
export interface NativeSource {
  readonly file?: string | undefined;
  /**
   * With `reader` and `file`: keeps it open, whatever its name and its times become. For the cache, where each use of an entry changes its time,
   * and which may evict it: every read is authenticated. Otherwise a change of the file is SOURCE_CHANGED.
   */
  readonly holdOpen?: boolean | undefined;
  /** File offset at which the part begins; 0 if absent. */
  readonly fileOffset?: number | undefined;
  readonly bytes?: Uint8Array | undefined;
  /**
   * Resolves with exactly `length` bytes, in one array or in up to 4,096 that follow one another. Called several times at once, up to
   * 1 MiB + 1 KiB each. `load` asks once more for a batch that turns out damaged, for 16 in all; for others only in a manifest of
   * more than 1 MiB.
   */
  readonly read?: ((offset: number, length: number) => Promise<Uint8Array | readonly Uint8Array[]>) | undefined;
  /** With `read`: how many bytes there are. */
  readonly size?: number | undefined;
  /**
   * With `load` and publishers to trust: `.tree` bytes. Where their root is the signed one, every batch is checked before it is
   * decrypted; else they are ignored, and the whole payload is checked before anything is released.
   */
  readonly tree?: Uint8Array | undefined;
  /** With `load`: both parts were cut from one container just now, so damage is never blamed on their pairing. */
  readonly sameContainer?: boolean | undefined;
}

/** The bytes of a legacy artifact: one file, or small and big part. Exactly one of `bytes`, `file`, `parts`. */
export interface NativeArtifact {
  readonly bytes?: Uint8Array | undefined;
  readonly file?: string | undefined;
  readonly parts?: { readonly small: string; readonly big: string } | undefined;
}
