/** Types of a program that sees a model in a mount of its own. */

export interface NativeMountedRequest {
  /** An existing folder, where only the program sees the files. */
  readonly mountPoint: string;
  /** `path` within the mount, segments separated by `/`; `descriptor` of its `size` bytes, needed until `started` settles. */
  readonly files: readonly { readonly path: string; readonly descriptor: number; readonly size: number }[];
  /** The program, looked up in PATH of `environment`, and its arguments. */
  readonly words: readonly string[];
  /** `NAME=value` */
  readonly environment: readonly string[];
}

interface NativeMountedProgram {
  /**
   * Resolves to 0 when the program runs; to -1 where a signal ended its process before; to the errno with which it could not be executed. MOUNT_REFUSED,
   * OUT_OF_MEMORY and others where the files could not be put there.
   */
  readonly started: Promise<number>;
  /** Resolves to its exit code, or to 128 and the number of the signal that ended it. */
  readonly ended: Promise<number>;
  /** Sends a signal, by its number, unless the program has ended. */
  kill(signal: number): void;
}

export interface ProcessBinding {
  /** Starts a program that sees the files in a mount of its own (Linux). INVALID_ARGUMENT elsewhere. */
  startMounted(request: NativeMountedRequest): NativeMountedProgram;
}
