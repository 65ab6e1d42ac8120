/** A store over an object storage: `small/<name>/<version>`, `big/<payloadId>-<offset>` and its `.tree` (docs/format.md, section 10). */
import { throwIfAborted } from '../../base/abort.js';
import { MAX_SMALL } from '../../base/limits.js';
import { isName } from '../../base/names.js';
import { hasCode } from '../../errors.js';
import { pace as realPace } from '../../http/retry.js';
import { retryHintOf } from '../../http/retry-hints.js';
import { type RangedTestHooks, rangedPart } from '../../transfer/ranged.js';
import { checkedBigName, checkedRef, checkSmallSize, ifStored, label, referencedBy, treeLimit } from '../parts.js';
import { payloadIdOf } from '../published.js';
import type { BigPartSource, CollectOptions, ModelRef, OpenBigPart, PartStore, Standing, StoreOptions } from '../store.js';
import { collectUnused } from './collect.js';
import type { ObjectRequest, ObjectStorage } from './storage.js';
import { abandonNoted, upload } from './upload.js';

/** Where an {@link ObjectStore} keeps its parts, and how it transfers them. */
export interface ObjectStoreSettings {
  /** Before every key: empty, or ends with a slash. */
  readonly prefix: string;
  /** Bytes of one piece of an upload; at least 5 MiB. */
  readonly pieceBytes: number;
  /** Requests at once for one part. Default: 4 to upload, 6 to load. */
  readonly connections?: number | undefined;
  /** How long a request may take, and a stream be silent, in milliseconds. */
  readonly timeoutMs: number;
  /** How long an unreferenced big part or an unfinished upload stays, in milliseconds. */
  readonly graceMs: number;
}

/** A PartStore over any object storage. */
export class ObjectStore implements PartStore {
  readonly #storage: ObjectStorage;
  readonly #settings: ObjectStoreSettings;
  readonly #hooks: RangedTestHooks;

  constructor(storage: ObjectStorage, settings: ObjectStoreSettings, hooks: RangedTestHooks = {}) {
    this.#storage = storage;
    this.#settings = settings;
    this.#hooks = hooks;
  }

  #smallKey(ref: ModelRef): string {
    const { name, version } = checkedRef(ref);
    return `${this.#settings.prefix}small/${name}/${version}`;
  }

  #bigKey(name: string): string {
    return `${this.#settings.prefix}big/${checkedBigName(name)}`;
  }

  async getSmall(ref: ModelRef, { signal }: StoreOptions = {}): Promise<Uint8Array> {
    return await this.#storage.read(this.#smallKey(ref), MAX_SMALL, smallRequest(ref, signal));
  }

  async putSmall(
    ref: ModelRef,
    bytes: Uint8Array,
    { ifAbsent = false, signal }: StoreOptions & { readonly ifAbsent?: boolean | undefined } = {},
  ): Promise<void> {
    const key = this.#smallKey(ref);
    const request = smallRequest(ref, signal);
    checkSmallSize(bytes.length, request.what);
    try {
      await this.#storage.write(key, bytes, { ...request, ifAbsent });
    } catch (error) {
      const perhaps = hasCode(error, 'ALREADY_EXISTS') || retryHintOf(error)?.effect === 'unknown';
      if (!ifAbsent || !perhaps || !(await this.#holds(key, bytes, request))) throw error;
    }
  }

  /** Whether the commit happened although its answer was lost. No other small part has these bytes. */
  async #holds(key: string, bytes: Uint8Array, request: ObjectRequest): Promise<boolean> {
    const there = await this.#storage.read(key, MAX_SMALL, request).catch(() => undefined);
    return there !== undefined && Buffer.compare(there, bytes) === 0;
  }

  /**
   * Undefined where nothing is published, and where credentials that may neither read nor list do not allow to see it: `putSmall` decides
   * then.
   * @throws PERMISSION_DENIED where a version is there that may not be read
   */
  async published(ref: ModelRef, options: StoreOptions = {}): Promise<Standing | undefined> {
    let small: Uint8Array;
    try {
      small = await this.getSmall(ref, options);
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return undefined;
      if (hasCode(error, 'PERMISSION_DENIED') && !(await this.#isListed(ref, options.signal))) return undefined;
      throw error;
    }
    return { payloadId: payloadIdOf(small), state: 'released' };
  }

  /** False also where the credentials do not allow to list. */
  async #isListed(ref: ModelRef, signal: StoreOptions['signal']): Promise<boolean> {
    const wanted = this.#smallKey(ref);
    try {
      for await (const { key } of this.#storage.list(wanted, smallRequest(ref, signal))) if (key === wanted) return true;
    } catch (error) {
      if (!hasCode(error, 'PERMISSION_DENIED')) throw error;
    }
    return false;
  }

  async putBig(ref: ModelRef, name: string, source: BigPartSource, { signal }: StoreOptions = {}): Promise<void> {
    checkedRef(ref);
    const key = this.#bigKey(name);
    const request = bigRequest(ref, signal);
    throwIfAborted(signal);
    await upload(this.#storage, key, source, request, { ...this.#settings, pace: this.#hooks.pace ?? realPace });
    // The part is complete without its tree, which only makes reading faster.
    const tree = source.tree();
    const what = `The tree of the big part of ${label(ref)}`;
    await this.#storage.write(`${key}.tree`, tree, { what, signal }).catch(() => throwIfAborted(signal));
  }

  async abandonBig(ref: ModelRef, name: string, notes: string, { signal }: StoreOptions = {}): Promise<void> {
    checkedRef(ref);
    await abandonNoted(this.#storage, this.#bigKey(name), notes, bigRequest(ref, signal));
  }

  async openBig(ref: ModelRef, name: string, { signal }: StoreOptions = {}): Promise<OpenBigPart> {
    const key = this.#bigKey(name);
    const request = bigRequest(ref, signal);
    const storage = this.#storage;
    const { size } = await storage.head(key, request);
    const { connections, timeoutMs } = this.#settings;
    return rangedPart(
      {
        size,
        range: (offset, length, until) => storage.range(key, offset, length, { ...request, signal: until }),
        // The part itself asks for it again.
        tree: (until) => ifStored(() => storage.read(`${key}.tree`, treeLimit(size), { ...request, signal: until, attempts: 1 })),
      },
      { connections, timeoutMs, ...this.#hooks },
    );
  }

  async *list({ signal }: StoreOptions = {}): AsyncGenerator<ModelRef, void, undefined> {
    const folder = `${this.#settings.prefix}small/`;
    for await (const { key } of this.#storage.list(folder, { what: 'The list of small parts', signal })) {
      throwIfAborted(signal);
      const [name = '', version = '', ...more] = key.slice(folder.length).split('/');
      if (isName(name) && isName(version) && more.length === 0) yield { name, version };
    }
  }

  /**
   * An unreferenced part is marked (`<name>.unused`) and removed by a later call, once the mark is older than `graceMs`: readers of a
   * replaced version finish meanwhile.
   */
  async collect({ referenced, signal }: CollectOptions = {}): Promise<readonly string[]> {
    throwIfAborted(signal);
    return await collectUnused(this.#storage, {
      what: 'What is no longer needed',
      prefix: this.#settings.prefix,
      graceMs: this.#settings.graceMs,
      signal,
      referenced: async () => referenced ?? (await referencedBy(this, signal)),
    });
  }
}

const smallRequest = (ref: ModelRef, signal: StoreOptions['signal']): ObjectRequest => ({
  what: `The small part of ${label(ref)}`,
  signal,
});
const bigRequest = (ref: ModelRef, signal: StoreOptions['signal']): ObjectRequest => ({
  what: `The big part of ${label(ref)}`,
  signal,
});
