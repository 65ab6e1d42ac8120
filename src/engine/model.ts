/** A decrypted model in guarded native memory. */
import { callable, parse } from '../base/validate.js';
import { ModelGuardError } from '../errors.js';
import { LinkFolder, ownProcess } from '../files/link-folder.js';
import { type ModelFiles, modelTensors } from '../formats/index.js';
import type { NativeModel, NativeWork } from '../native/binding.js';
import { call } from '../native/index.js';
import { type RunOptions, work } from '../native/work.js';
import {
  type Artifact,
  type ArtifactMaker,
  type ArtifactMetadata,
  type ArtifactOptions,
  type ArtifactSource,
  artifactOptions,
  artifactSchema,
} from './artifact.js';
import { GuardedFile, type StreamOptions, whileAlive } from './file.js';
import type { ModelStream } from './stream.js';
import { type GuardedTensor, guardedTensors } from './tensors.js';

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
  #artifacts: ArtifactSource | undefined;
  #links: LinkFolder | undefined;
  #disposed = false;
  /** Its files by name, in byte order of name. */
  readonly files: ReadonlyMap<string, GuardedFile>;
  /** Facts about the model; those of a container come from its authenticated header. */
  readonly metadata: Metadata;

  /** @internal `load`, `decrypt` and `decryptFile` make models. */
  constructor(native: NativeModel, metadata: Metadata, artifacts?: ArtifactSource) {
    this.#native = native;
    this.#artifacts = artifacts;
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

  /**
   * An artifact that a runtime builds from this model: as secret as the model, and slow to make. The first time `make` writes it to a
   * path in memory. It is kept sealed in the cache, under a key that follows from the model's own, from `runtime` and from the parts of this
   * machine. So it opens as long as the model does, on this machine alone, and never without the model; otherwise it is made again. A `dispose()`
   * meanwhile takes effect afterwards. Linux.
   *
   * In a container or a virtual machine few parts of the machine can be read, and a copy of it may read the same.
   * While `make` writes, the file is in memory that can be swapped.
   * @param artifact Its name, and the runtime with all that it depends on.
   * @param make Writes it to the path that it is given, which is in memory, and good until its promise settles.
   * @returns The artifact as a model of one file, with `bytes` and `path()`. Dispose of it as of a model; it may outlive this one.
   * @throws DISPOSED · INVALID_ARGUMENT, also on other systems, and for a model of the legacy profile or an artifact · NAME_INVALID · SOURCE_EMPTY
   *   if `make` wrote nothing · SOURCE_UNSUPPORTED if it wrote another file beside the path, or in its place · OUT_OF_MEMORY · ABORT_ERR · what `make` throws. A fault of the cache is a warning (MODEL_GUARD_CACHE_UNUSED).
   * @see docs/format.md section 14
   * @example
   * using optimised = await model.derived({ name: 'net.onnx', runtime: `onnxruntime-node ${version}` }, async (path) => {
   *   const first = await InferenceSession.create(model.bytes, { optimizedModelFilePath: path });
   *   await first.release();
   * });
   * const session = await InferenceSession.create(optimised.bytes, { graphOptimizationLevel: 'disabled' });
   */
  async derived(artifact: Artifact, make: ArtifactMaker, options: ArtifactOptions = {}): Promise<GuardedModel<ArtifactMetadata>> {
    const asked = parse(artifactSchema, artifact, 'artifact');
    parse(callable, make, 'make');
    const given = parse(artifactOptions, options);
    this.#living();
    const artifacts = this.#artifacts;
    if (!artifacts)
      throw new ModelGuardError('INVALID_ARGUMENT', 'This model has no key of its own that a key could follow from', {
        advice: 'Derive from a model that load, decrypt or decryptFile gave.',
      });
    const { model, metadata } = await this.#held(() => artifacts.derive(asked, make, given));
    return new GuardedModel(model, metadata);
  }

  /**
   * Keeps the memory while `read` is at work: a runtime would go on with zeros, and an artifact of zeros would be kept. A lazy model has
   * none, and its reads are refused.
   */
  async #held<T>(read: () => Promise<T>): Promise<T> {
    if (this.#native.isLazy) return await read();
    const release = this.retain();
    try {
      return await read();
    } finally {
      release();
    }
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
    this.#artifacts = undefined;
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
