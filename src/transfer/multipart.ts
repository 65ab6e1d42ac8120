/** Sending a big part in pieces, several at once, with bounded memory. Nothing here knows where the pieces go. */
import { setMaxListeners } from 'node:events';
import { type AbortSignalLike, throwIfAborted } from '../base/abort.js';
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
  /** Bytes in all. */
  readonly size: number;
  /** Of every piece but the last, which may be shorter. */
  readonly pieceBytes: number;
  readonly source: PieceSource;
  /** Bytes of each piece that an earlier run sent, by number. Not sent again where the part is staged in a file. */
  readonly present?: ReadonlyMap<number, number> | undefined;
  /** Sends the piece `number`, from 1. What may be tried again carries a hint (http/retry-hints.ts). */
  readonly send: (number: number, bytes: Uint8Array, signal: AbortSignalLike) => Promise<void>;
  /** Pieces under way at once; one more is held in memory. */
  readonly connections?: number | undefined;
  readonly pace?: Pace | undefined;
  readonly signal?: AbortSignalLike | undefined;
}

const CONNECTIONS = 4;
const ATTEMPTS = 6;

/**
 * Sends what is missing. A piece that fails is sent again from memory: its bytes are asked for once. When it rejects, the source has
 * ended and nothing is under way any more.
 * @throws IO_FAILED for a source of another size; what the source and `send` throw; ABORT_ERR
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

/** Missing pieces without a gap, both included. */
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
  /** Ends every send: what was asked for from outside, or the first failure. */
  readonly #stop = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(settings: Settings, signal: AbortSignalLike | undefined) {
    this.#settings = settings;
    this.#signal = signal;
    // Every send listens, more than once.
    setMaxListeners(0, this.#stop.signal);
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted) this.#abort();
  }

  readonly #abort = (): void => this.#failed(new AbortError(this.#signal?.reason));

  /** The first failure counts; others follow from it. */
  #failed(error: unknown): void {
    this.#failure ??= { error };
    this.#stop.abort(this.#failure.error);
  }

  /** Reads a run of pieces and sends each as soon as it is whole and there is room. */
  async run(source: SendPieces['source'], { first, last }: Run): Promise<void> {
    const { size, pieceBytes } = this.#settings;
    const start = (first - 1) * pieceBytes;
    const end = Math.min(size, last * pieceBytes);
    const stream = (start === 0 ? source.stream() : source.stream(start))[Symbol.asyncIterator]();
    let over = false;
    try {
      let number = first;
      let piece = new Uint8Array(pieceSize(number, size, pieceBytes));
      let filled = 0;
      for (;;) {
        const next = await this.#unlessStopped(stream.next());
        over = next.done === true;
        if (next.done) break;
        let rest = next.value;
        while (rest.length > 0) {
          // Beyond the last piece of a run in the middle: nothing of it is wanted.
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
      if (!over) await stream.return?.().catch(() => undefined);
    }
  }

  /** No Promise.race: what loses against a promise that lives as long as this would be kept as long, with the bytes it holds. */
  #unlessStopped<T>(task: Promise<T>): Promise<T> {
    const { signal } = this.#stop;
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(this.#failure?.error);
      if (signal.aborted) stop();
      signal.addEventListener('abort', stop);
      const over = (): void => signal.removeEventListener('abort', stop);
      task.then(resolve, reject).then(over, over);
    });
  }

  async #launch(number: number, bytes: Uint8Array): Promise<void> {
    const { connections, pace, send } = this.#settings;
    while (this.#underWay.size >= connections) await this.#unlessStopped(Promise.race(this.#underWay));
    if (this.#failure) throw this.#failure.error;
    const { signal } = this.#stop;
    const sent = withRetries({ pace, repeatable: true, signal, attempts: ATTEMPTS }, () => send(number, bytes, signal)).then(
      () => undefined,
      (error: unknown) => this.#failed(error),
    );
    const leaving = sent.then(() => {
      this.#underWay.delete(leaving);
    });
    this.#underWay.add(leaving);
  }

  async finish(): Promise<void> {
    await Promise.all(this.#underWay);
    if (this.#failure) throw this.#failure.error;
  }

  /** Waits until nothing is under way; says what went wrong first. */
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
