/** The seam of `npm run bench`: one way to read or to protect a model, ours or a peer's. */

/** Where the input of all subjects lies: a folder for one size. */
export interface Place {
  readonly folder: string;
  /** Bytes of the model. */
  readonly bytes: number;
  /** The plain model, of random bytes. */
  readonly plain: string;
}

/** A measurement that the subject took itself, because the work runs in a process of another program. */
export interface Measured {
  readonly seconds: number;
  /** Bytes, where that program can tell. */
  readonly peak?: number | undefined;
}

/**
 * `load`: from a file to plaintext in memory. `piece`: 1 MiB from the middle of it. `latency`: all of a model of 64 KiB. `protect`: from the plain file to a durable one.
 * `inference`: from the file of an ONNX model to a first result.
 */
export type Kind = 'load' | 'piece' | 'latency' | 'protect' | 'inference';

export interface Subject {
  readonly name: string;
  readonly kind: Kind;
  /** Why it cannot run here, with this many bytes; undefined where it can. */
  missing?(bytes: number): string | undefined;
  /** Once for a size, before the first round: makes the subject's input. */
  prepare?(place: Place): Promise<void>;
  /** In a process of its own: loads modules and warms up, untimed, and returns the work, which is timed. */
  start(place: Place): Promise<() => Promise<Measured | undefined>>;
}

/** The work of a subject that is timed from outside. */
export const timed =
  (work: () => Promise<unknown>): (() => Promise<undefined>) =>
  async () => {
    await work();
    return undefined;
  };
