/** The big part of a lazy model in its store, read in ranges. */
import { setMaxListeners } from 'node:events';
import type { RunOptions } from '../native/work.js';
import type { OpenBigPart } from '../stores/store.js';
import { closePart } from './reading.js';

type Signal = RunOptions['signal'];

/** The big part in its store, opened when it is first needed. */
export class StorePart {
  readonly #open: (signal: Signal) => Promise<OpenBigPart>;
  #ranges: Promise<RecentRanges> | undefined;

  constructor(open: (signal: Signal) => Promise<OpenBigPart>) {
    this.#open = open;
  }

  ranges(signal: Signal): Promise<RecentRanges> {
    this.#ranges ??= this.#open(signal).then(
      (part) => new RecentRanges(part),
      (error) => {
        this.#ranges = undefined;
        throw error;
      },
    );
    return this.#ranges;
  }

  async close(signal?: Signal): Promise<void> {
    const ranges = await this.#ranges?.catch(() => undefined);
    if (ranges) await closePart(ranges, signal);
  }
}

/** Ranges that are kept, each of at most 1 MiB and a little. */
const RECENT = 4;

type Range = Awaited<ReturnType<OpenBigPart['read']>>;

/**
 * An open part whose last ranges are kept as they came, encrypted: where publishers are trusted, the engine reads whole batches to check them,
 * and neighbours in a file lie in the same one. Equal ranges that are asked for at once are fetched once, and go on when one reader leaves.
 */
class RecentRanges {
  readonly #part: OpenBigPart;
  readonly #recent = new Map<string, Range>();
  readonly #fetching = new Map<string, Promise<Range>>();
  readonly #closing = new AbortController();
  readonly size: number;
  readonly file: string | undefined;

  constructor(part: OpenBigPart) {
    this.#part = part;
    this.size = part.size;
    this.file = part.file;
    setMaxListeners(0, this.#closing.signal);
  }

  async read(offset: number, length: number): Promise<Range> {
    const key = `${offset} ${length}`;
    const bytes = this.#recent.get(key) ?? (await (this.#fetching.get(key) ?? this.#fetch(key, offset, length)));
    this.#recent.delete(key);
    this.#recent.set(key, bytes);
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= RECENT) break;
      this.#recent.delete(oldest);
    }
    return bytes;
  }

  async #fetch(key: string, offset: number, length: number): Promise<Range> {
    const fetching = this.#part.read(offset, length, { signal: this.#closing.signal, ahead: false });
    this.#fetching.set(key, fetching);
    try {
      return await fetching;
    } finally {
      this.#fetching.delete(key);
    }
  }

  forget(): void {
    this.#recent.clear();
  }

  tree(): Promise<Uint8Array | undefined> {
    return this.#part.tree();
  }

  close(): Promise<void> {
    this.#closing.abort();
    return this.#part.close();
  }
}
