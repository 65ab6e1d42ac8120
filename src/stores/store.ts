/** The one seam to storage (docs/format.md, section 10). Everything large streams through it. */
import type { AbortSignalLike } from '../base/abort.js';
import type { Verifier } from '../keys/verifiers.js';
import type { Identity, Recipient } from '../recipients/kinds.js';

/** One model at one version. Both match `[a-z0-9][a-z0-9._-]{0,127}`. */
export interface ModelRef {
  readonly name: string;
  readonly version: string;
}

/** Cancels a store's operation. */
export interface StoreOptions {
  readonly signal?: AbortSignalLike | undefined;
}

/** A big part on its way into a store. */
export interface BigPartSource {
  /** Bytes in all. */
  readonly size: number;
  /**
   * The bytes from `offset` (default 0) on, in order. The pieces may be kept. An `offset` above 0 is refused with
   * INVALID_ARGUMENT unless the part is staged in a file: a chunk is encrypted once, ever.
   */
  stream(offset?: number): AsyncIterable<Uint8Array>;
  /** The `.tree` bytes (docs/format.md section 5). Only after the last byte was streamed. */
  tree(): Uint8Array;
  /** A file that holds exactly these bytes; the store's own `localTarget`, if it offered one. */
  readonly file?: string | undefined;
  /** Of a part that is staged in a file, which a later run may send on: where a store notes how far it is. */
  readonly notes?: UploadNotes | undefined;
  /** Told how many bytes are not streamed, because an earlier run sent them: progress counts them as done. */
  readonly skipped?: ((bytes: number) => void) | undefined;
}

/** Notes that a store needs to continue an upload after a crash, such as its id. */
export interface UploadNotes {
  /** The text that was written last; undefined if none was. */
  read(): Promise<string | undefined>;
  /** On the disk when it resolves. */
  write(text: string): Promise<void>;
}

/** Options of {@link OpenBigPart.read}. */
export interface ReadBigOptions extends StoreOptions {
  /** False for a reader that does not go through the part in order: a hint that nothing need be fetched ahead. Default: true. */
  readonly ahead?: boolean | undefined;
}

/** A big part opened for reading. */
export interface OpenBigPart {
  /** Bytes in all. */
  readonly size: number;
  /** A file that holds exactly these bytes, which the native engine then reads itself. */
  readonly file?: string | undefined;
  /** It comes over a network: worth keeping on this machine, as it is. */
  readonly remote?: boolean | undefined;
  /**
   * Exactly `length` bytes, in one piece or several; the store does not touch them again, unless they come back by `recycle`. Called
   * several times at once.
   */
  read(offset: number, length: number, options?: ReadBigOptions): Promise<Uint8Array | readonly Uint8Array[]>;
  /** Returns memory that `read` gave, once it was copied, so that the store may use it again. Calling it is optional. */
  recycle?(given: Uint8Array | readonly Uint8Array[]): void;
  /** The `.tree` bytes, if they are stored. */
  tree(): Promise<Uint8Array | undefined>;
  /** Idempotent. Its failure changes nothing of what was read; it is waited for five seconds at most. */
  close(): Promise<void>;
}

/** Defaults of `protect` and `load`, for options that the caller leaves out. */
export interface StoreDefaults {
  readonly recipients?: readonly Recipient[] | undefined;
  readonly identities?: readonly Identity[] | undefined;
  readonly verifier?: Verifier | undefined;
  readonly leaseKeys?: Verifier | undefined;
  /** Of the lease that the store gave last; where it is absent, a lease opens until its offline-until. */
  readonly lease?: LeaseUse | undefined;
}

/** How a store came by the lease that it gave. */
export interface LeaseUse {
  /** The latest time that is known, seconds since 1970. The system's clock counts where it is later. */
  readonly seen: number;
  /** The server gave it just now. Believed only within 300 s of the lease's not-before. */
  readonly renewed: boolean;
}

/** The argument of {@link PartStore.defaults}, where it is a function. */
export interface DefaultsOptions extends StoreOptions {
  /** `sealing`: recipients. `opening`: identities, verifier and lease keys; it must be answered without a network too. */
  readonly for: 'sealing' | 'opening';
  readonly ref: ModelRef;
}

/** The state of a small part that was published. */
export interface Published {
  /** `pending` until a validator releases it, in stores that have approvals. */
  readonly state: 'released' | 'pending';
}

/** A published version, as a store knows it. */
export interface Standing extends Published {
  /** 32 hex digits. */
  readonly payloadId: string;
}

/** Options of {@link PartStore.collect}. */
export interface CollectOptions extends StoreOptions {
  /**
   * Names of big parts in use, instead of those that this store's own small parts name. For a store that only keeps big
   * parts: the caller must name every small part that relies on this store.
   */
  readonly referenced?: ReadonlySet<string> | undefined;
}

/**
 * Where the parts of models live. Implementations throw ModelGuardError: NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED,
 * READ_ONLY, NO_SPACE, IO_FAILED.
 *
 * The order that keeps a store whole at every moment: `putBig` first, whole or not at all, under a name that is never used
 * again; then `putSmall`, the only commit; unreferenced big parts are collected later.
 */
export interface PartStore {
  /** The small part. NOT_FOUND if there is none. */
  getSmall(ref: ModelRef, options?: StoreOptions): Promise<Uint8Array>;
  /**
   * Publishes, atomically. With `ifAbsent` ALREADY_EXISTS if there is one, also when two writers race. A store that has approvals
   * says how it stands; nothing said means released.
   */
  putSmall(
    ref: ModelRef,
    bytes: Uint8Array,
    options?: StoreOptions & { readonly ifAbsent?: boolean | undefined },
    // biome-ignore lint/suspicious/noConfusingVoidType: most stores say nothing
  ): Promise<Published | void>;
  /** The version that is published as `ref`, if any, for stores that can tell without giving the small part. */
  published?(ref: ModelRef, options?: StoreOptions): Promise<Standing | undefined>;
  /** The newest version, where a store can prove which it is. NOT_FOUND if there is none. */
  latest?(name: string, options?: StoreOptions): Promise<ModelRef>;
  /** Stores a big part, whole or not at all. `name` is `<payloadId>-<offset>`; ALREADY_EXISTS if it was used before. */
  putBig(ref: ModelRef, name: string, source: BigPartSource, options?: StoreOptions): Promise<void>;
  /**
   * Cleans up an upload that an earlier run noted with {@link UploadNotes} and that is not continued. The notes may be of another store,
   * and the upload may be gone. A failure stops nothing.
   */
  abandonBig?(ref: ModelRef, name: string, notes: string, options?: StoreOptions): Promise<void>;
  /** Opens a big part. NOT_FOUND if there is none. */
  openBig(ref: ModelRef, name: string, options?: StoreOptions): Promise<OpenBigPart>;
  /** A path that does not exist yet, where the engine writes the big part itself; `putBig` then syncs and renames it. */
  localTarget?(ref: ModelRef, name: string): Promise<string>;
  /** Everything published here. */
  list(options?: StoreOptions): AsyncIterable<ModelRef>;
  /** Removes big parts that no small part names, and what a crash left, after a grace period. Returns what was removed. */
  collect(options?: CollectOptions): Promise<readonly string[]>;
  /** Options that callers need not repeat. A function is called anew for every operation. */
  readonly defaults?: StoreDefaults | ((options: DefaultsOptions) => Promise<StoreDefaults>) | undefined;
}

/** One store for both parts, or one for each. */
export type Stores = PartStore | { readonly small: PartStore; readonly big: PartStore };
