/** A store in a bucket: `small/<name>/<version>`, `big/<payloadId>-<offset>` and its `.tree` (docs/format.md, section 10). */

import { throwIfAborted } from '../../abort.js';
import { hasCode } from '../../errors.js';
import { safeAddress } from '../../http/address.js';
import { hintOf } from '../../http/hints.js';
import { pace as realPace } from '../../http/pace.js';
import { MAX_SMALL } from '../../limits.js';
import { isName } from '../../names.js';
import { parse, s3StoreOptions } from '../../options.js';
import { checkRangeAnswer } from '../../transfer/range-answer.js';
import { type RangedSurroundings, rangedPart } from '../../transfer/ranged.js';
import { checkedBigName, checkedRef, checkSmallSize, label, referencedBy, treeLimit } from '../parts.js';
import { payloadIdOf } from '../published.js';
import type { BigPartSource, CollectOptions, ModelRef, OpenBigPart, PartStore, Standing, StoreOptions } from '../store.js';
import { type About, Bucket } from './bucket.js';
import { collectBucket } from './collect.js';
import { Clients, TIMEOUT_MS } from './sdk.js';
import type { S3StoreOptions } from './types.js';
import { abandonNoted, type UploadSettings, upload } from './upload.js';

const DAY_MS = 24 * 60 * 60 * 1000;
const PIECE_BYTES = 8 * 1024 * 1024;

/**
 * A PartStore in a bucket of AWS or of any other S3 server. Needs the package `@aws-sdk/client-s3`, which is fetched at first use.
 * What is written is written whole or not at all; with keys that may only write, publishing works too.
 *
 * Rights: to load, GetObject. To publish, PutObject, and for `resume` ListMultipartUploadParts and AbortMultipartUpload. `list` and
 * `collect` want ListBucket with the keys to read, `collect` also DeleteObject and ListBucketMultipartUploads with those to write.
 * Keys to read that may not list the bucket are told PERMISSION_DENIED where others are told NOT_FOUND.
 *
 * Of two who publish the same version, the server decides (`If-None-Match`). Where an endpoint ignores that header, publishing without
 * `overwrite` only looks first, and both can pass.
 * @throws INVALID_ARGUMENT. Every method: PERMISSION_DENIED · NO_SPACE · SERVER_UNREACHABLE, SERVER_FAILED, RESPONSE_INVALID,
 *   TIMED_OUT, CLOCK_SKEWED · INVALID_ARGUMENT without the package
 * @example
 * const store = s3Store({ bucket: 'models', endpoint: 'https://s3.example.org', credentials: { read, write } });
 */
export function s3Store(options: S3StoreOptions): PartStore {
  return s3StoreIn(options, {});
}

/** The same, with time and chance of one's own. */
export function s3StoreIn(options: S3StoreOptions, surroundings: RangedSurroundings): PartStore {
  const given = parse(s3StoreOptions, options);
  if (given.endpoint !== undefined) safeAddress(given.endpoint, 'options.endpoint');
  return new S3Store(given, surroundings);
}

class S3Store implements PartStore {
  readonly #bucket: Bucket;
  /** Empty, or ends with a slash. */
  readonly #prefix: string;
  readonly #settings: UploadSettings;
  readonly #surroundings: RangedSurroundings;
  readonly #graceMs: number;

  constructor(options: S3StoreOptions, surroundings: RangedSurroundings) {
    const { pace = realPace, timers } = surroundings;
    const { bucket, prefix, pieceBytes = PIECE_BYTES, connections } = options;
    const { timeoutMs = TIMEOUT_MS, graceMs = DAY_MS } = options;
    this.#bucket = new Bucket(bucket, new Clients(options, timers), pace);
    this.#prefix = prefix === undefined ? '' : `${prefix.replace(/\/$/, '')}/`;
    this.#settings = { pieceBytes, connections, pace, timeoutMs };
    this.#surroundings = surroundings;
    this.#graceMs = graceMs;
  }

  #smallKey(ref: ModelRef): string {
    const { name, version } = checkedRef(ref);
    return `${this.#prefix}small/${name}/${version}`;
  }

  #bigKey(name: string): string {
    return `${this.#prefix}big/${checkedBigName(name)}`;
  }

  async getSmall(ref: ModelRef, { signal }: StoreOptions = {}): Promise<Uint8Array> {
    return await this.#bucket.read(this.#smallKey(ref), MAX_SMALL, aboutSmall(ref, signal));
  }

  async putSmall(
    ref: ModelRef,
    bytes: Uint8Array,
    { ifAbsent = false, signal }: StoreOptions & { readonly ifAbsent?: boolean | undefined } = {},
  ): Promise<void> {
    const key = this.#smallKey(ref);
    const about = aboutSmall(ref, signal);
    checkSmallSize(bytes.length, about.what);
    try {
      await this.#bucket.write(key, bytes, { ...about, ifAbsent });
    } catch (error) {
      const perhaps = hasCode(error, 'ALREADY_EXISTS') || hintOf(error)?.effect === 'unknown';
      if (!ifAbsent || !perhaps || !(await this.#holds(key, bytes, about))) throw error;
    }
  }

  /** Whether the commit happened although its answer was lost: no other small part has these bytes. */
  async #holds(key: string, bytes: Uint8Array, about: About): Promise<boolean> {
    const there = await this.#bucket.read(key, MAX_SMALL, about).catch(() => undefined);
    return there !== undefined && Buffer.compare(there, bytes) === 0;
  }

  /**
   * Undefined where nothing is there, and where keys that may neither read nor list do not let us see it: `putSmall` decides then.
   * @throws PERMISSION_DENIED where something is there that may not be read
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

  /** False too where the keys may not list. */
  async #isListed(ref: ModelRef, signal: StoreOptions['signal']): Promise<boolean> {
    const wanted = this.#smallKey(ref);
    try {
      for await (const { key } of this.#bucket.list(wanted, aboutSmall(ref, signal))) if (key === wanted) return true;
    } catch (error) {
      if (!hasCode(error, 'PERMISSION_DENIED')) throw error;
    }
    return false;
  }

  async putBig(ref: ModelRef, name: string, source: BigPartSource, { signal }: StoreOptions = {}): Promise<void> {
    checkedRef(ref);
    const key = this.#bigKey(name);
    const about = aboutBig(ref, signal);
    throwIfAborted(signal);
    await upload(this.#bucket, key, source, about, this.#settings);
    // The part is whole without it: a tree that was never written costs its readers speed, nothing else.
    const tree = source.tree();
    const what = `The tree of the big part of ${label(ref)}`;
    await this.#bucket.write(`${key}.tree`, tree, { what, signal }).catch(() => throwIfAborted(signal));
  }

  async abandonBig(ref: ModelRef, name: string, notes: string, { signal }: StoreOptions = {}): Promise<void> {
    checkedRef(ref);
    await abandonNoted(this.#bucket, this.#bigKey(name), notes, aboutBig(ref, signal));
  }

  async openBig(ref: ModelRef, name: string, { signal }: StoreOptions = {}): Promise<OpenBigPart> {
    const key = this.#bigKey(name);
    const about = aboutBig(ref, signal);
    const bucket = this.#bucket;
    const { size } = await bucket.facts(key, about);
    const { connections, timeoutMs } = this.#settings;
    return rangedPart(
      {
        size,
        stream: (offset, length, until) => {
          const wanted = { offset, length, size };
          return bucket.range(key, wanted, (head) => checkRangeAnswer(head, wanted), { ...about, signal: until });
        },
        tree: async (until) => {
          try {
            // Asked again by the part itself.
            return await bucket.read(`${key}.tree`, treeLimit(size), { ...about, signal: until, attempts: 1 });
          } catch (error) {
            // Keys that may not list are refused what is not there.
            if (hasCode(error, 'NOT_FOUND') || hasCode(error, 'PERMISSION_DENIED')) return undefined;
            throw error;
          }
        },
      },
      { connections, timeoutMs, ...this.#surroundings },
    );
  }

  async *list({ signal }: StoreOptions = {}): AsyncGenerator<ModelRef, void, undefined> {
    const folder = `${this.#prefix}small/`;
    for await (const { key } of this.#bucket.list(folder, { what: 'The list of small parts', signal })) {
      throwIfAborted(signal);
      const [name = '', version = '', ...more] = key.slice(folder.length).split('/');
      if (isName(name) && isName(version) && more.length === 0) yield { name, version };
    }
  }

  /**
   * A part that nobody names is marked (`<name>.unused`) and removed by a later call, once the mark is older than `graceMs`: readers
   * of a replaced version finish meanwhile.
   */
  async collect({ referenced, signal }: CollectOptions = {}): Promise<readonly string[]> {
    throwIfAborted(signal);
    return await collectBucket(this.#bucket, {
      what: 'What is no longer needed',
      prefix: this.#prefix,
      graceMs: this.#graceMs,
      signal,
      referenced: async () => referenced ?? (await referencedBy(this, signal)),
    });
  }
}

const aboutSmall = (ref: ModelRef, signal: StoreOptions['signal']): About => ({
  what: `The small part of ${label(ref)}`,
  signal,
});
const aboutBig = (ref: ModelRef, signal: StoreOptions['signal']): About => ({ what: `The big part of ${label(ref)}`, signal });
