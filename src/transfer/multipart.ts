/** Sends a big part in pieces, several at once, with bounded memory. The caller sends each piece to its destination. */
import { setMaxListeners } from 'node:events';
import { type AbortSignalLike, throwIfAborted, unlessAborted } from '../base/abort.js';
import { AbortError, ModelGuardError } from '../errors.js';
import { type Pace, pace as realPace, withRetries } from '../http/retry.js';
import { countPieces, pieceSize } from './pieces.js';

/** The bytes that are sent, such as a `BigPartSource` of the stores. */
export interface PieceSource {
  /** The bytes from `offset` (default 0) on, in order; above 0 only where there is a `file`. */
  stream(offset?: number): AsyncIterable<Uint8Array>;
  /** The bytes are staged in this file, so that they can be streamed again. */
  readonly file?: string | undefined;
  /** Called with the number of bytes that are not streamed, because an earlier run sent them. */
  readonly skipped?: ((bytes: number) => void) | undefined;
}

export interface SendPieces {
  /** Bytes of the whole part. */
  readonly size: number;
  /** Bytes of every piece but the last, which may be shorter. */
  readonly pieceBytes: number;
  readonly source: PieceSource;
  /** Bytes of each piece that an earlier run sent, by number. Not sent again where the part is staged in a file. */
  readonly present?: ReadonlyMap<number, number> | undefined;
  /** Sends the piece `number`, from 1. An error that may be tried again carries a hint (http/retry-hints.ts). */
  readonly send: (number: number, bytes: Uint8Array, signal: AbortSignalLike) => Promise<void>;
  /** Sends at once; one more piece is held in memory. */
  readonly connections?: number | undefined;
  readonly pace?: Pace | undefined;
  readonly signal?: AbortSignalLike | undefined;
}

const CONNECTIONS = 4;
const ATTEMPTS = 6;

/**
 * Sends the missing pieces. A piece that fails is sent again from memory: the source is read once. When it rejects, the source has been
 * closed and every send has ended.
 * @throws IO_FAILED for a source of another size; the errors of the source and of `send`; ABORT_ERR
 */
export async function sendPieces({
  source,
  signal,
  connections = CONNECTIONS,
  pace = realPace,
  ...rest
}: SendPieces): Promise<void> {
  throwIfAborted(signal);
  const sending = new Sending({ ...rest, connections, pace }, signal);
  try {
    for (const run of missingRuns(rest, source)) await sending.run(source, run);
    await sending.finish();
  } catch (error) {
    throw await sending.fail(error);
  } finally {
    sending.end();
  }
}

/** Consecutive missing pieces, from `first` to `last`. */
interface Run {
  readonly first: number;
  readonly last: number;
}

function missingRuns(
  { size, pieceBytes, present }: Pick<SendPieces, 'size' | 'pieceBytes' | 'present'>,
  source: SendPieces['source'],
): Run[] {
  const count = countPieces(size, pieceBytes);
  if (!present || source.file === undefined) return [{ first: 1, last: count }];
  const runs: Run[] = [];
  let skipped = 0;
  for (let number = 1; number <= count; number += 1) {
    const bytes = pieceSize(number, size, pieceBytes);
    if (present.get(number) === bytes) {
      skipped += bytes;
      continue;
    }
    const before = runs.at(-1);
    if (before?.last === number - 1) runs[runs.length - 1] = { first: before.first, last: number };
    else runs.push({ first: number, last: number });
  }
  if (skipped > 0) source.skipped?.(skipped);
  return runs;
}

type Settings = Pick<SendPieces, 'size' | 'pieceBytes' | 'send'> & { readonly connections: number; readonly pace: Pace };

class Sending {
  readonly #settings: Settings;
  readonly #signal: AbortSignalLike | undefined;
  /** Aborted by the caller's signal or by the first failure; ends every send. */
  readonly #stop = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(settings: Settings, signal: AbortSignalLike | undefined) {
    this.#settings = settings;
    this.#signal = signal;
    // Every send adds several listeners.
    setMaxListeners(0, this.#stop.signal);
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted) this.#abort();
  }

  readonly #abort = (): void => this.#failed(new AbortError(this.#signal?.reason));

  /** Keeps the first failure: later ones follow from it. */
  #failed(error: unknown): void {
    this.#failure ??= { error };
    this.#stop.abort(this.#failure.error);
  }

  /** Reads a run of pieces and starts to send each as soon as it is complete and a connection is free. */
  async run(source: SendPieces['source'], { first, last }: Run): Promise<void> {
    const { size, pieceBytes } = this.#settings;
    const start = (first - 1) * pieceBytes;
    const end = Math.min(size, last * pieceBytes);
    const stream = (start === 0 ? source.stream() : source.stream(start))[Symbol.asyncIterator]();
    let ended = false;
    try {
      let number = first;
      let piece = new Uint8Array(pieceSize(number, size, pieceBytes));
      let filled = 0;
      for (;;) {
        const next = await unlessAborted(this.#stop.signal, stream.next());
        ended = next.done === true;
        if (next.done) break;
        let rest = next.value;
        while (rest.length > 0) {
          // The bytes after a run in the middle of the part are not needed.
          if (number > last && end < size) return;
          if (number > last) throw wrongSize(size);
          const taken = rest.subarray(0, piece.length - filled);
          piece.set(taken, filled);
          filled += taken.length;
          rest = rest.subarray(taken.length);
          if (filled < piece.length) continue;
          await this.#launch(number, piece);
          number += 1;
          filled = 0;
          piece = number <= last ? new Uint8Array(pieceSize(number, size, pieceBytes)) : new Uint8Array();
        }
        if (number > last && end < size) return;
      }
      if (size === 0) await this.#launch(1, piece);
      else if (number <= last) throw wrongSize(size);
    } finally {
      if (!ended) await stream.return?.().catch(() => undefined);
    }
  }

  async #launch(number: number, bytes: Uint8Array): Promise<void> {
    const { connections, pace, send } = this.#settings;
    const { signal } = this.#stop;
    while (this.#underWay.size >= connections) await unlessAborted(signal, Promise.race(this.#underWay));
    if (this.#failure) throw this.#failure.error;
    const sent = withRetries({ pace, repeatable: true, signal, attempts: ATTEMPTS }, () => send(number, bytes, signal)).then(
      () => undefined,
      (error: unknown) => this.#failed(error),
    );
    const ended = sent.then(() => {
      this.#underWay.delete(ended);
    });
    this.#underWay.add(ended);
  }

  async finish(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits until every send has ended; returns the first failure. */
  async fail(error: unknown): Promise<unknown> {
    this.#failed(error);
    await Promise.all(this.#underWay);
    return this.#failure?.error;
  }

  end(): void {
    this.#signal?.removeEventListener('abort', this.#abort);
  }
}

const wrongSize = (size: number): ModelGuardError =>
  new ModelGuardError('IO_FAILED', `The source of a big part does not give the ${size} bytes that it says it has`);
