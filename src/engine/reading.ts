/** Reads an open big part for the engine, and closes it. */
import { setMaxListeners } from 'node:events';
import { type AbortSignalLike, throwIfAborted, untilAborted } from '../base/abort.js';
import { within } from '../http/watch.js';
import type { NativeSource } from '../native/binding.js';
import type { RunOptions } from '../native/work.js';
import { withStoreErrors } from '../stores/parts.js';
import type { ModelRef, OpenBigPart } from '../stores/store.js';

/** Milliseconds. After this long a part is loaded without its tree. */
const TREE_MS = 15_000;
const CLOSING_MS = 5_000;

type ReadablePart = Pick<OpenBigPart, 'size' | 'read' | 'recycle' | 'tree'>;

/** Never rejects. The bytes are verified or refused by now: a part that does not close, or not in time, changes nothing of that. */
export const closePart = (part: Pick<OpenBigPart, 'close'>, signal?: RunOptions['signal']): Promise<void> =>
  within(CLOSING_MS, signal, (until) => untilAborted(until, part.close())).catch(() => undefined);

/** The engine's reads of a part for one task. All of them end with it, and the caller's signal has one listener. */
export class Reading {
  readonly #part: ReadablePart;
  readonly #ref: ModelRef;
  readonly #signal: RunOptions['signal'];
  readonly #ending = new AbortController();
  readonly #reads = new Set<Promise<unknown>>();

  constructor(part: ReadablePart, ref: ModelRef, signal: RunOptions['signal']) {
    this.#part = part;
    this.#ref = ref;
    this.#signal = signal;
    setMaxListeners(0, this.#ending.signal);
    signal?.addEventListener('abort', this.#abort);
    if (signal?.aborted) this.#abort();
  }

  /** The part as the engine reads it. */
  get source(): NativeSource {
    return { size: this.#part.size, read: (offset, length) => this.#read(offset, length) };
  }

  readonly #abort = (): void => this.#ending.abort(this.#signal?.reason);

  #read(offset: number, length: number): Promise<Uint8Array | readonly Uint8Array[]> {
    const { signal } = this.#ending;
    const reading = withStoreErrors('could not read the big part', this.#ref, { signal }, () =>
      this.#part.read(offset, length, { signal }),
    );
    this.#reads.add(reading);
    reading.then(
      (given) => {
        this.#reads.delete(reading);
        // The engine copies synchronously when the promise resolves.
        setImmediate(() => this.#part.recycle?.(given));
      },
      () => {
        this.#reads.delete(reading);
        // A final failure ends the task, so that the other reads are stopped.
        this.#ending.abort();
      },
    );
    return reading;
  }

  /** Undefined where the part has none, or not in time: it only makes a load of damaged bytes fail earlier. */
  async tree(): Promise<Uint8Array | undefined> {
    const asking = (until: AbortSignalLike) => untilAborted(until, this.#part.tree());
    const tree = await within(TREE_MS, this.#ending.signal, asking).catch(() => undefined);
    throwIfAborted(this.#signal);
    return tree;
  }

  async end(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#ending.abort();
    await Promise.allSettled(this.#reads);
  }
}
