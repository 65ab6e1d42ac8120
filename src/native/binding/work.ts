/** Types of long work: its control and its threads. */

/** Long work: cancel it, or ask how far it is. One call at a time uses it. */
export interface NativeControl {
  /** Takes effect after at most one batch (1 MiB) per thread. */
  cancel(): void;
  /** Plaintext bytes done so far. */
  done(): number;
}

export interface NativeWork {
  readonly control?: NativeControl | undefined;
  /** 0 or absent: as many as the process may use. */
  readonly threads?: number | undefined;
}
