/** A file of a decrypted model. */
import { z } from 'zod';
import type { AbortSignalLike } from '../base/abort.js';
import { callable, parse, signal } from '../base/validate.js';
import { fileTensors, type ModelFiles } from '../formats/index.js';
import type { NativeModel } from '../native/binding.js';
import { call } from '../native/index.js';
import { type ModelStream, rangeStream } from './stream.js';
import { type GuardedTensor, guardedTensors } from './tensors.js';

/** Advice for a file that no array can hold. */
const IN_RANGES = { LIMIT_EXCEEDED: 'Read it in ranges: read(offset, length).' } as const;

const NO_PATH = { INVALID_ARGUMENT: "Load it with as: 'path'." } as const;

/** A read within a file of `size` bytes. */
export const range = (size: number) =>
  z
    .strictObject({ offset: z.int().min(0), length: z.int().min(0) })
    .refine(({ offset, length }) => offset + length <= size, `reaches beyond the file's ${size} bytes`);

/** A part of a file of `size` bytes, and the signal that ends it. */
const streamRange = (size: number) =>
  z
    .strictObject({ offset: z.int().min(0).max(size).default(0), length: z.int().min(0).optional(), signal: signal.optional() })
    .refine(({ offset, length = 0 }) => offset + length <= size, `reaches beyond the file's ${size} bytes`);

/** Options of `stream`. */
export interface StreamOptions {
  /** First byte. Default: 0. */
  readonly offset?: number | undefined;
  /** Bytes. Default: up to the end of the file. */
  readonly length?: number | undefined;
  /** Ends the stream with an AbortError. */
  readonly signal?: AbortSignalLike | undefined;
}

/** A model that is disposed of shows zeros, in which a table would be malformed: `living` throws DISPOSED instead. */
export const whileAlive = <T>(living: () => ModelFiles, reading: Promise<T>): Promise<T> => reading.finally(() => void living());

/** One file of a loaded model. */
export class GuardedFile {
  readonly #model: NativeModel;
  readonly #index: number;
  readonly #siblings: () => ModelFiles;
  /** Relative path within the model, segments separated by `/`. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;

  /** @internal */
  constructor(model: NativeModel, index: number, siblings: () => ModelFiles) {
    const { path, size } = model.files[index] as NativeModel['files'][number];
    this.#model = model;
    this.#index = index;
    this.#siblings = siblings;
    this.name = path;
    this.size = size;
  }

  /**
   * The file's bytes, without a copy; the same array every time, zeros after `dispose()`. Its buffer holds no other file. What reads
   * them after the current turn, such as a job of zlib, belongs into {@link use}.
   * @throws LIMIT_EXCEEDED above 4 GiB in Node 20, whose arrays are no longer, and in runtimes whose arrays must lie in memory of their own, such as Electron (use
   * {@link read}) · DISPOSED
   */
  get bytes(): Uint8Array {
    return call(() => this.#model.bytes(this.#index), IN_RANGES);
  }

  /**
   * Gives `reader` the bytes and keeps them until its promise settles: a `dispose()` meanwhile wipes them afterwards, and
   * `Symbol.asyncDispose` waits for it. The reader itself must not wait for that.
   * @param reader Given {@link bytes}; must not keep them.
   * @returns What the reader returns.
   * @throws LIMIT_EXCEEDED where {@link bytes} does, DISPOSED; what the reader throws
   * @example
   * const packed = await file.use((bytes) => promisify(zlib.gzip)(bytes));
   */
  async use<Result>(reader: (bytes: Uint8Array) => Result | PromiseLike<Result>): Promise<Result> {
    parse(callable, reader, 'reader');
    const { bytes } = this;
    call(() => this.#model.enter());
    try {
      return await reader(bytes);
    } finally {
      call(() => this.#model.leave());
    }
  }

  /**
   * A copy of a range, in guarded memory that is wiped with the model. In Electron the copy lies in the runtime's own memory, which can be
   * swapped and dumped: `dispose()` wipes it, but not what was collected before, or transferred to another thread.
   * @param offset First byte, 0 to `size`.
   * @param length Bytes, at most `size - offset`.
   * @throws INVALID_ARGUMENT, LIMIT_EXCEEDED above 4 GiB in Node 20, DISPOSED, OUT_OF_MEMORY
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    parse(range(this.size), { offset, length }, 'range');
    return call(() => this.#model.read(this.#index, offset, length), IN_RANGES);
  }

  /**
   * The file, or a range of it, as a web stream of chunks of at most 1 MiB, each read when it is asked for. Chunks are guarded memory that is
   * wiped with the model; a chunk of a stream that ends with an error was authentic all the same. `Readable.fromWeb` makes a stream of Node of it.
   * @throws INVALID_ARGUMENT. The stream fails with what {@link read} throws, and with ABORT_ERR
   * @example
   * await pipeline(Readable.fromWeb(model.stream()), process.stdout);
   */
  stream(options: StreamOptions = {}): ModelStream {
    const { offset, length = this.size - offset, signal } = parse(streamRange(this.size), options);
    return rangeStream(this, { offset, length, signal });
  }

  /**
   * The tensors of this safetensors, GGUF or ONNX file by name. Its table alone is read, in ranges; external data of ONNX may lie in other
   * files of the model. The format is found by content first, then by extension.
   * @throws SOURCE_UNSUPPORTED where the file is of another format · TENSORS_MALFORMED where its table breaks the format · LIMIT_EXCEEDED
   * where the table is larger than any known model's (more than 262,144 tensors, a header above 100 MB) · VERSION_UNSUPPORTED for a GGUF file of
   * another version than 2 and 3, and for a type of tensor that this release does not know · what {@link read} throws
   * @example
   * const tensors = await model.files.get('unet/model.safetensors').tensors();
   */
  async tensors(): Promise<ReadonlyMap<string, GuardedTensor>> {
    const files = this.#siblings();
    return guardedTensors(await whileAlive(this.#siblings, fileTensors(this.name, files)), files);
  }

  /**
   * `/proc/self/fd/N`: opens the file in this process, in all its threads, to be read and to be mapped. It has exactly `size` bytes and
   * lies in memory alone; to write to it fails. Good until `dispose()`, so keep the model; then N can become another file. What was opened
   * before shows zeros from then on.
   *
   * Another process of this user opens it as `/proc/PID/fd/N`, PID being this process's. A child that is to hold the file itself inherits a
   * descriptor: `spawn(…, { stdio: [0, 1, 2, openSync(file.path())] })` makes it `/proc/self/fd/3` there.
   * @throws INVALID_ARGUMENT unless the model was loaded with `as: 'path'` · DISPOSED
   * @example
   * using model = await load('defects@3', { ...options, as: 'path' });
   * const session = await InferenceSession.create(model.path());
   */
  path(): string {
    return `/proc/self/fd/${call(() => this.#model.descriptor(this.#index), NO_PATH)}`;
  }
}
