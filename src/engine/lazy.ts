/** A model that stays in its store: its files are decrypted piece by piece, as they are read. */
import { setMaxListeners } from 'node:events';
import { throwIfAborted } from '../base/abort.js';
import { Semaphore } from '../base/semaphore.js';
import { type CachedPart, isFileFault } from '../cache/cached-load.js';
import { ModelGuardError } from '../errors.js';
import type { NativeModel, NativeOpened, NativeReader, NativeSource } from '../native/binding.js';
import { call } from '../native/index.js';
import { type RunOptions, work } from '../native/work.js';
import type { ModelRef, OpenBigPart } from '../stores/store.js';
import { Reading } from './reading.js';
import { StorePart } from './store-part.js';

type Signal = RunOptions['signal'];
type FileRange = readonly [index: number, offset: number, length: number];

interface LazySource {
  readonly opened: NativeOpened;
  readonly ref: ModelRef;
  readonly openPart: (signal: Signal) => Promise<OpenBigPart>;
  readonly cached: CachedPart | undefined;
  /** Publishers are trusted, so that the tree is worth asking for. */
  readonly withTree: boolean;
}

/** Where a reader reads without being given a source: in a file of the store, or of the cache. */
interface OwnFile {
  readonly cached?: CachedPart | undefined;
}

/** Reads from a store at once. The engine gives threads of its own to each of them. */
const READS = 8;

/** Closes the parts of models that were never disposed of: a file that is open would be closed with a warning. */
const forgotten = new FinalizationRegistry<StorePart>((part) => void part.close());

/** Reads in ranges where a model in memory shows its bytes. */
export class LazyModel implements NativeModel {
  readonly isLazy = true;
  readonly files: NativeModel['files'];
  readonly #reader: NativeReader;
  readonly #ref: ModelRef;
  readonly #part: StorePart;
  readonly #ownFile: OwnFile | undefined;
  readonly #turns = new Semaphore(READS);
  readonly #closing = new AbortController();
  readonly #reads = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;
  #cacheDropped = false;

  private constructor(reader: NativeReader, ref: ModelRef, part: StorePart, ownFile: OwnFile | undefined) {
    this.files = reader.files;
    this.#reader = reader;
    this.#ref = ref;
    this.#part = part;
    this.#ownFile = ownFile;
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
          const reader = await openReader(opened, { file: cached.file, holdOpen: true }, run);
          return new LazyModel(reader, ref, part, { cached });
        } catch (error) {
          if (!isFileFault(error)) throw error;
          await cached.drop(error);
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
      const reader = await openReader(opened, { ...from, tree }, run);
      return new LazyModel(reader, ref, part, ranges.file === undefined ? undefined : {});
    } finally {
      await reading.end();
    }
  }

  bytes(): never {
    this.#mustLive();
    throw new ModelGuardError('INVALID_ARGUMENT', 'This model is lazy: its bytes are not in memory', {
      advice: 'Read what you need: read(offset, length) or tensors(). For all bytes, load it without lazy.',
    });
  }

  async read(...range: FileRange): Promise<Uint8Array> {
    this.#mustLive();
    const reading = this.#ownFile ? this.#fromFile(range, this.#ownFile) : this.#fromPart(range);
    this.#reads.add(reading);
    try {
      return await reading;
    } catch (error) {
      if (!this.#closed) throw error;
      throw new ModelGuardError('DISPOSED', 'The model was disposed of while this read was under way', { cause: error });
    } finally {
      this.#reads.delete(reading);
    }
  }

  #mustLive(): void {
    if (this.#closed) throw new ModelGuardError('DISPOSED', 'The model was disposed of');
  }

  async #fromFile(range: FileRange, { cached }: OwnFile): Promise<Uint8Array> {
    try {
      return await call(() => this.#reader.readGuarded(...range));
    } catch (error) {
      // The entry of the cache is damaged, or a folder has another file under that name.
      if (!isFileFault(error)) throw error;
      if (cached !== undefined && !this.#cacheDropped) {
        this.#cacheDropped = true;
        await cached.drop(error);
      }
      return await this.#fromPart(range);
    }
  }

  #fromPart(range: FileRange): Promise<Uint8Array> {
    return this.#turns.run(async () => {
      const { signal } = this.#closing;
      throwIfAborted(signal);
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
    });
  }

  protection(): ReturnType<NativeModel['protection']> {
    this.#mustLive();
    return { locked: false, dontdump: false, hugePages: false, memfd: false };
  }

  /** A lazy model has no readers of `bytes`. */
  enter(): void {
    this.bytes();
  }

  leave(): void {}

  descriptor(): never {
    this.#mustLive();
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
