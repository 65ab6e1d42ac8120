/** A model that stays in its store: its files are decrypted piece by piece, as they are read. */
import { setMaxListeners } from 'node:events';
import { isFileFault } from '../cache/cached-load.js';
import { ModelGuardError } from '../errors.js';
import type { NativeModel, NativeOpened, NativeReader, NativeSource } from '../native/binding.js';
import { call } from '../native/index.js';
import { type RunOptions, work } from '../native/work.js';
import type { ModelRef, OpenBigPart } from '../stores/store.js';
import { closePart, Reading } from './reading.js';

type Signal = RunOptions['signal'];
type FileRange = readonly [index: number, offset: number, length: number];

interface LazySource {
  readonly opened: NativeOpened;
  readonly ref: ModelRef;
  readonly openPart: (signal: Signal) => Promise<OpenBigPart>;
  /** The file of the cache that holds the part. */
  readonly cached: string | undefined;
  /** Publishers are trusted, so that the tree is worth asking for. */
  readonly withTree: boolean;
}

/** Closes the parts of models that were never disposed of: a file that is open would be closed with a warning. */
const forgotten = new FinalizationRegistry<StorePart>((part) => void part.close());

/** Reads in ranges where a model in memory shows its bytes. */
export class LazyModel implements NativeModel {
  readonly files: NativeModel['files'];
  readonly #reader: NativeReader;
  readonly #ref: ModelRef;
  readonly #part: StorePart;
  /** The reader has a file of its own to read from. */
  readonly #hasFile: boolean;
  readonly #closing = new AbortController();
  readonly #reads = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  private constructor(reader: NativeReader, ref: ModelRef, part: StorePart, hasFile: boolean) {
    this.files = reader.files;
    this.#reader = reader;
    this.#ref = ref;
    this.#part = part;
    this.#hasFile = hasFile;
    setMaxListeners(0, this.#closing.signal);
    forgotten.register(this, part);
  }

  /** Checks length, last chunk, digest and manifest. A part in the cache is read there, and its store is not asked. */
  static async open(source: LazySource, run: RunOptions): Promise<LazyModel> {
    const { opened, ref, cached } = source;
    const part = new StorePart(source.openPart);
    try {
      if (cached !== undefined) {
        try {
          return new LazyModel(await openReader(opened, { file: cached }, run), ref, part, true);
        } catch (error) {
          if (!isFileFault(error)) throw error;
        }
      }
      return await LazyModel.#fromStore(source, part, run);
    } catch (error) {
      await part.close(run.signal);
      throw error;
    }
  }

  static async #fromStore({ opened, ref, withTree }: LazySource, part: StorePart, run: RunOptions): Promise<LazyModel> {
    const ranges = await part.ranges(run.signal);
    const reading = new Reading(ranges, ref, run.signal);
    try {
      const tree = withTree ? await reading.tree() : undefined;
      const from = ranges.file === undefined ? reading.source : { file: ranges.file };
      return new LazyModel(await openReader(opened, { ...from, tree }, run), ref, part, ranges.file !== undefined);
    } finally {
      await reading.end();
    }
  }

  bytes(): never {
    throw new ModelGuardError('INVALID_ARGUMENT', 'This model is lazy: its bytes are not in memory', {
      advice: 'Read what you need: read(offset, length) or tensors(). For all bytes, load it without lazy.',
    });
  }

  read(...range: FileRange): Promise<Uint8Array> {
    const reading = this.#hasFile ? this.#fromFile(range) : this.#fromPart(range);
    this.#reads.add(reading);
    const done = (): void => void this.#reads.delete(reading);
    reading.then(done, done);
    return reading;
  }

  async #fromFile(range: FileRange): Promise<Uint8Array> {
    try {
      return await call(() => this.#reader.readGuarded(...range));
    } catch (error) {
      // The cache may have evicted its file, or a folder has another one under that name.
      if (!isFileFault(error)) throw error;
      return await this.#fromPart(range);
    }
  }

  async #fromPart(range: FileRange): Promise<Uint8Array> {
    const { signal } = this.#closing;
    try {
      const ranges = await this.#part.ranges(signal);
      const reading = new Reading(ranges, this.#ref, signal);
      try {
        return await call(() => this.#reader.readGuarded(...range, reading.source));
      } catch (error) {
        // Damaged ranges are fetched anew by the next read.
        ranges.forget();
        throw error;
      } finally {
        await reading.end();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new ModelGuardError('DISPOSED', 'The model was disposed of while this read was under way', { cause: error });
    }
  }

  protection(): ReturnType<NativeModel['protection']> {
    return { locked: false, dontdump: false, hugePages: false, memfd: false };
  }

  /** For readers of `bytes`, which there are none. */
  enter(): void {
    this.bytes();
  }

  leave(): void {}

  descriptor(): never {
    throw new ModelGuardError('INVALID_ARGUMENT', 'This model is lazy: its files are not in memory', {
      advice: "For a path, load it with as: 'path' and without lazy.",
    });
  }

  dispose(): boolean {
    if (this.#closed) return true;
    this.#reader.close();
    this.#closing.abort();
    this.#closed = Promise.allSettled(this.#reads).then(() => this.#part.close());
    return true;
  }

  settled(): Promise<void> {
    return this.#closed ?? Promise.resolve();
  }
}

/** An abort that comes too late to stop the work still closes the reader. */
async function openReader(opened: NativeOpened, big: NativeSource, run: RunOptions): Promise<NativeReader> {
  let reader: NativeReader | undefined;
  try {
    return await work('verify', opened.info.plaintextSize, run, async (running) => {
      reader = await call(() => opened.reader(big, running));
      if (run.signal?.aborted) throw run.signal.reason;
      return reader;
    });
  } catch (error) {
    reader?.close();
    throw error;
  }
}

/** The big part in its store, opened when it is first needed. */
class StorePart {
  readonly #open: LazySource['openPart'];
  #ranges: Promise<RecentRanges> | undefined;

  constructor(open: LazySource['openPart']) {
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

/** Ranges that are kept, each of a batch of the engine: 1 MiB and a little. */
const RECENT = 4;

/**
 * An open part whose last ranges are kept as they came, encrypted: the engine reads whole batches to check them, and neighbours in a file lie in
 * the same one.
 */
class RecentRanges {
  readonly #part: OpenBigPart;
  readonly #recent = new Map<string, Uint8Array | readonly Uint8Array[]>();
  readonly size: number;
  readonly file: string | undefined;

  constructor(part: OpenBigPart) {
    this.#part = part;
    this.size = part.size;
    this.file = part.file;
  }

  async read(...[offset, length, options]: Parameters<OpenBigPart['read']>): ReturnType<OpenBigPart['read']> {
    const key = `${offset} ${length}`;
    const bytes = this.#recent.get(key) ?? (await this.#part.read(offset, length, { ...options, ahead: false }));
    this.#recent.delete(key);
    this.#recent.set(key, bytes);
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= RECENT) break;
      this.#recent.delete(oldest);
    }
    return bytes;
  }

  forget(): void {
    this.#recent.clear();
  }

  tree(): Promise<Uint8Array | undefined> {
    return this.#part.tree();
  }

  close(): Promise<void> {
    return this.#part.close();
  }
}
