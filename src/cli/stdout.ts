/** Writes to standard output, whose reader may leave and whose disk may fill up. */
import type { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ModelGuardError } from '../errors.js';
import { systemCode } from '../files/files.js';

/** The reader has left, which is no fault: the command ends without a message. */
export class StdoutClosed extends Error {}

export class Stdout {
  readonly #stream: Writable;
  #failure: NodeJS.ErrnoException | undefined;

  constructor(stream: Writable) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      this.#failure ??= error;
    });
  }

  write(text: string): void {
    this.#stream.write(text);
  }

  /** Waits until the stream has taken the piece. @throws the error of the system, which {@link failure} puts into words */
  async take(piece: Uint8Array): Promise<void> {
    await new Promise<void>((done, failed) => {
      this.#stream.write(piece, (error) => (error ? failed(error) : done()));
    });
  }

  /** The reason why the output was not written, once all of it has been tried. */
  async failure(): Promise<StdoutClosed | ModelGuardError | undefined> {
    const stream = this.#stream;
    if (!stream.writableEnded && !stream.destroyed) await this.take(new Uint8Array()).catch(() => undefined);
    // The 'error' event follows the callback of a failed write by a turn.
    await nextTurn();
    const cause = this.#failure;
    if (!cause) return undefined;
    if (cause.code === 'EPIPE') return new StdoutClosed('The reader of standard output has left', { cause });
    return new ModelGuardError(systemCode(cause), `Cannot write to standard output (${cause.code})`, {
      cause,
      advice: 'The output is not complete: throw it away, make room where it goes, and run the command again.',
    });
  }
}
