/** A decrypted model in guarded native memory. */
import { z } from 'zod';
import type { AbortSignalLike } from '../base/abort.js';
import { parse, signal } from '../base/validate.js';
import { ModelGuardError } from '../errors.js';
import { LinkFolder, ownProcess } from '../files/link-folder.js';
import { fileTensors, type ModelFiles, modelTensors } from '../formats/index.js';
import type { NativeModel, NativeWork } from '../native/binding.js';
import { call } from '../native/index.js';
import { type RunOptions, work } from '../native/work.js';
import { type ModelStream, rangeStream } from './stream.js';
import { type GuardedTensor, guardedTensors } from './tensors.js';

export const modelReader = z.custom<object>((value) => typeof value === 'function', 'wants a function');

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

/** The facts about a model. */
export interface ModelMetadata {
  readonly name: string;
  readonly version: string;
  /** `onnx`, `gguf`, `folder`, … */
  readonly format: string;
  /** When it was sealed, `YYYY-MM-DDThh:mm:ssZ`. */
  readonly created: string;
  /** 32 hex digits. */
  readonly payloadId: string;
  /** 64 hex digits. */
  readonly digest: string;
}

/** How the memory of a loaded model is protected: what was achieved, nothing more. */
export interface Protection {
  /** Kept out of swap. */
  readonly locked: boolean;
  /** Kept out of core dumps. */
  readonly dontdump: boolean;
  /** Every whole 2 MiB of it is one page. */
  readonly hugePages: boolean;
  /** Each file lies in a sealed memfd, so that it has a path. */
  readonly memfd: boolean;
}

/** Contexts of Node 20 lack both symbols, as in the vm pools of vitest: compiled `using` looks for these then. */
const DISPOSE: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');
const ASYNC_DISPOSE: typeof Symbol.asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');

/** Decrypts into guarded memory. An abort that comes too late to stop the work still discards the model. */
export async function intoMemory(
  total: number,
  run: RunOptions,
  load: (running: NativeWork) => Promise<NativeModel>,
): Promise<NativeModel> {
  let model: NativeModel | undefined;
  try {
    return await work('decrypt', total, run, async (running) => {
      model = await call(() => load(running));
      if (run.signal?.aborted) throw run.signal.reason;
      return model;
    });
  } catch (error) {
    model?.dispose();
    throw error;
  }
}

/** A model that is disposed of shows zeros, in which a table would be malformed: `living` throws DISPOSED instead. */
const whileAlive = <T>(living: () => ModelFiles, reading: Promise<T>): Promise<T> => reading.finally(() => void living());

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
   * @throws LIMIT_EXCEEDED above 4 GiB, and in runtimes whose arrays must lie in memory of their own, such as Electron (use
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
    parse(modelReader, reader, 'reader');
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
   * @throws INVALID_ARGUMENT, LIMIT_EXCEEDED above 4 GiB, DISPOSED, OUT_OF_MEMORY
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

/** Facts about a loaded model. */
export interface LoadedMetadata extends ModelMetadata {
  /** `verified`: a pinned publisher signed it. `accepted`: the caller accepted an unknown origin. */
  readonly origin: 'verified' | 'accepted';
}

/** Models whose memory stays although the program may hold them no more. */
const retained = new Set<object>();

/** A model of one file in a folder is a folder, too. */
export const isFolder = ({ files, metadata }: GuardedModel<unknown>): boolean =>
  files.size !== 1 || (metadata as Partial<ModelMetadata>).format === 'folder';

/**
 * A model in guarded memory: kept out of core dumps, wiped on `dispose()`. Runtimes make copies of their own, which are beyond
 * its reach.
 * @example
 * using model = await load('defects@3', options);
 * const session = await InferenceSession.create(model.bytes);
 */
export class GuardedModel<Metadata = LoadedMetadata> {
  readonly #native: NativeModel;
  #links: LinkFolder | undefined;
  #disposed = false;
  /** Its files by name, in byte order of name. */
  readonly files: ReadonlyMap<string, GuardedFile>;
  /** Facts about the model; those of a container come from its authenticated header. */
  readonly metadata: Metadata;

  /** @internal `load`, `decrypt` and `decryptFile` make models. */
  constructor(native: NativeModel, metadata: Metadata) {
    this.#native = native;
    this.metadata = metadata;
    this.files = new Map(native.files.map(({ path }, index) => [path, new GuardedFile(native, index, this.#living)]));
  }

  readonly #living = (): ModelFiles => {
    if (this.#disposed) throw new ModelGuardError('DISPOSED', 'The model was disposed of');
    return this.files;
  };

  #only(): GuardedFile {
    const [file] = this.files.values();
    if (file && this.files.size === 1) return file;
    throw new ModelGuardError('INVALID_ARGUMENT', `This model has ${this.files.size} files`, {
      advice: 'Choose one: model.files.get(name).',
    });
  }

  /**
   * The bytes of the only file, without a copy (see {@link GuardedFile.bytes}).
   * @throws INVALID_ARGUMENT if there are several files; what {@link GuardedFile.bytes} throws
   */
  get bytes(): Uint8Array {
    return this.#only().bytes;
  }

  /**
   * Gives a reader the bytes of the only file and keeps them until it is done (see {@link GuardedFile.use}).
   * @throws INVALID_ARGUMENT if there are several files; what {@link GuardedFile.use} and the reader throw
   */
  async use<Result>(reader: (bytes: Uint8Array) => Result | PromiseLike<Result>): Promise<Result> {
    return this.#only().use(reader);
  }

  /**
   * A range of the only file (see {@link GuardedFile.read}).
   * @throws INVALID_ARGUMENT if there are several files or the range is not in it, DISPOSED
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    return this.#only().read(offset, length);
  }

  /**
   * The only file as a stream (see {@link GuardedFile.stream}).
   * @throws INVALID_ARGUMENT if there are several files; what {@link GuardedFile.stream} throws
   */
  stream(options: StreamOptions = {}): ModelStream {
    return this.#only().stream(options);
  }

  /**
   * The tensors of all safetensors, GGUF and ONNX files of the model by name. A `*.safetensors.index.json` of Hugging Face decides
   * in which file a tensor is, for the files of its own folder and those that it names.
   * @throws INVALID_ARGUMENT if two files have a tensor of the same name: choose one, `model.files.get(name).tensors()` · what
   * {@link GuardedFile.tensors} throws
   * @example
   * const tensors = await model.tensors();
   * const bytes = await tensors.get('lm_head.weight')?.read();
   */
  async tensors(): Promise<ReadonlyMap<string, GuardedTensor>> {
    return guardedTensors(await whileAlive(this.#living, modelTensors(this.files)), this.files);
  }

  /**
   * The path of the only file (see {@link GuardedFile.path}). Of a folder: a folder of symbolic links with the names of its files, each to
   * `/proc/PID/fd/N`, so that other processes of this user can follow them while this one lives. Only this user may enter it. It lies below
   * XDG_RUNTIME_DIR, or below the folder for temporary files, and is removed by `dispose()` and when the process exits; what a killed process
   * left is removed when the next one makes such a folder.
   * @throws INVALID_ARGUMENT unless the model was loaded with `as: 'path'` · DISPOSED · PERMISSION_DENIED, NO_SPACE, READ_ONLY, NOT_FOUND,
   *   IO_FAILED if the folder cannot be made
   */
  path(): string {
    const [first] = this.files.values();
    const path = first?.path();
    if (path !== undefined && !isFolder(this)) return path;
    this.#links ??= this.#makeLinks();
    return this.#links.path;
  }

  #makeLinks(): LinkFolder {
    const process = ownProcess();
    return new LinkFolder(new Map([...this.files].map(([name, file]) => [name, file.path().replace('self', process)])));
  }

  /**
   * Keeps the memory until the returned function is called, which may be called again: a `dispose()` meanwhile wipes it afterwards. For a
   * runtime that goes on reading the bytes, or a mapped path, after it was made, as onnxruntime does with
   * `session.use_ort_model_bytes_directly`: without this it computes with zeros after `dispose()`, and does not notice.
   * @throws DISPOSED · INVALID_ARGUMENT for a lazy model, which keeps none
   * @example
   * const release = model.retain();
   * const session = await InferenceSession.create(model.bytes, { extra: { session: { use_ort_model_bytes_directly: '1' } } });
   * model.dispose();               // the memory stays
   * try { … } finally {
   *   await session.release();
   *   release();                   // wiped now
   * }
   */
  retain(): () => void {
    call(() => this.#native.enter());
    const hold = { model: this };
    retained.add(hold);
    return () => {
      if (retained.delete(hold)) call(() => this.#native.leave());
    };
  }

  /** How this model's memory is protected, as achieved. All false for a lazy model, which holds none. */
  get protection(): Protection {
    return call(() => this.#native.protection());
  }

  /**
   * Wipes the memory and returns it: every array given out shows zeros from now on. Idempotent, never throws. Reads in flight reject
   * with DISPOSED; their memory, and that of readers in `use` and of {@link retain}, is wiped when the last one ends. Native code that reads
   * the bytes without either reads zeros, too.
   */
  dispose(): void {
    const links = this.#links;
    this.#disposed = true;
    if (this.#native.dispose()) links?.remove();
    else if (links) this.#native.settled().then(() => links.remove());
  }

  /** The same as {@link dispose}. */
  [DISPOSE](): void {
    this.dispose();
  }

  /** {@link dispose}, then waits until no read, no reader in `use` and no {@link retain} is left. */
  async [ASYNC_DISPOSE](): Promise<void> {
    this.dispose();
    await this.#native.settled();
  }
}
