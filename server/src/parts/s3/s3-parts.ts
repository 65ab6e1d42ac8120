/** Stores big parts and their trees in a bucket. Publishers send them straight to it, devices read them from it. */
import { isModelGuardError, ModelGuardError } from '@org/model-guard/server-kit';
import type { Member } from '../../base/caller.js';
import type { BucketConfig } from '../../base/config.js';
import { TimeoutError, withTimeout } from '../../base/timeout.js';
import type { Context } from '../../context.js';
import { isChecked, noteChecked } from '../check-records.js';
import {
  type Check,
  type CompletedUpload,
  type PartBytes,
  type Parts,
  type PieceUrls,
  type Recording,
  type Ref,
  type StoredPart,
  treeOf,
  type UploadPlan,
  type UrlSigner,
} from '../parts.js';
import { Bucket } from './bucket.js';
import { keyPairs } from './credentials.js';
import { openObject } from './object-reader.js';
import { UploadRows } from './upload-rows.js';
import { BucketUploads } from './uploads.js';

const DAY = 86_400;
/** Milliseconds that a result about reading counts: balancers ask often. */
const PROVED_MS = 10_000;
/** Milliseconds to wait for the first result; a later one counts when it comes. */
const LATE_MS = 1000;

type PartsContext = Pick<Context, 'config' | 'db' | 'log' | 'now'>;

export class S3Parts implements Parts {
  readonly urls: UrlSigner;
  readonly #now: () => number;
  readonly #log: Context['log'];
  readonly #bucket: Bucket;
  readonly #db: Context['db'];
  readonly #rows: UploadRows;
  readonly #uploads: BucketUploads;
  /** The bucket's last refusal to read; undefined where reading works. */
  #refusal: unknown;
  #proving: Promise<void> | undefined;
  #proved = Number.NEGATIVE_INFINITY;

  /** @param urls Used instead of presigned URLs of the bucket. */
  constructor(context: PartsContext, bucket: Bucket, least: number, urls?: UrlSigner) {
    this.urls = urls ?? bucketUrls(bucket, context);
    this.#now = context.now;
    this.#log = context.log;
    this.#bucket = bucket;
    this.#db = context.db;
    this.#rows = new UploadRows(context);
    this.#uploads = new BucketUploads(context, bucket, this.#rows, least);
  }

  /** @throws INVALID_ARGUMENT without the keys of the bucket */
  static async open(context: PartsContext, config: BucketConfig, urls?: UrlSigner): Promise<S3Parts> {
    return new S3Parts(context, new Bucket(config, await keyPairs(context.config)), config.pieceBytes, urls);
  }

  async find(part: string): Promise<StoredPart | undefined> {
    const row = await this.#rows.ofPart(part);
    return row?.state === 'stored' ? { size: row.size } : undefined;
  }

  /** Publishing stores a tree beside every accepted part, and URLs are made for published parts alone. */
  async hasTree(part: string): Promise<boolean> {
    return (await this.find(part)) !== undefined;
  }

  async open(part: string, { size }: StoredPart): Promise<PartBytes> {
    return openObject(this.#bucket, part, size, this.#log);
  }

  mark(part: string): Promise<string | undefined> {
    return this.#bucket.etag(part);
  }

  async isChecked(part: string, check: Check): Promise<boolean> {
    return (await isChecked(this.#db, 'uploads', part, check)) && (await this.#bucket.size(treeOf(part))) !== undefined;
  }

  noteChecked(part: string, check: Check): Promise<void> {
    return noteChecked(this.#db, 'uploads', part, check);
  }

  async storeTree(_ref: Ref, part: string, tree: Uint8Array): Promise<void> {
    await this.#bucket.put(treeOf(part), tree);
  }

  async touch(part: string): Promise<void> {
    await this.#rows.touch(part);
  }

  begin(member: Member, ref: Ref, part: string, size: number): Promise<UploadPlan> {
    return this.#uploads.begin(member, ref, part, size);
  }

  pieceUrls(member: Member, upload: string, numbers: readonly number[]): Promise<PieceUrls> {
    return this.#uploads.pieceUrls(member, upload, numbers);
  }

  complete(member: Member, upload: string, record: Recording): Promise<CompletedUpload> {
    return this.#uploads.complete(member, upload, record);
  }

  abort(member: Member, upload: string, record: Recording): Promise<void> {
    return this.#uploads.abort(member, upload, record);
  }

  async put(): Promise<void> {
    throw new ModelGuardError('INVALID_ARGUMENT', 'Big parts go straight to the storage of this server', {
      advice: 'Begin an upload: the answer says how the part is sent.',
    });
  }

  /** Ignores `referenced`: the database itself decides which parts versions name, in the statement that claims an unused one. */
  async collect(_referenced?: ReadonlySet<string>, stop?: AbortSignal): Promise<readonly string[]> {
    const before = this.#now() - DAY;
    const removed: string[] = [];
    while (!stop?.aborted) {
      const row = await this.#rows.claimUnused(before);
      if (!row) break;
      if (await this.#isRemoved(row.part, () => this.#uploads.remove(row))) removed.push(`big/${row.part}`);
    }
    await this.#abortUnrecorded(before, stop);
    return removed;
  }

  /** Aborts uploads that a server began and was killed before it recorded them. */
  async #abortUnrecorded(before: number, stop: AbortSignal | undefined): Promise<void> {
    if (stop?.aborted) return;
    const recorded = await this.#rows.storageIds();
    for await (const { object, id, begun } of this.#bucket.uploads()) {
      if (stop?.aborted) return;
      if (begun < before * 1000 && !recorded.has(id)) await this.#isRemoved(object, () => this.#bucket.abort(object, id));
    }
  }

  /** A failure of one removal does not stop the rest; a later pass tries again. */
  async #isRemoved(part: string, remove: () => Promise<void>): Promise<boolean> {
    try {
      await remove();
      return true;
    } catch (error) {
      this.#log.error({ err: error, part }, 'could not remove a part');
      return false;
    }
  }

  async demandReadable(): Promise<void> {
    if (performance.now() > this.#proved + PROVED_MS)
      this.#proving ??= this.#prove().finally(() => {
        this.#proving = undefined;
      });
    await withTimeout(this.#proving ?? Promise.resolve(), LATE_MS).catch((error: unknown) => {
      if (!(error instanceof TimeoutError)) throw error;
    });
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  async #prove(): Promise<void> {
    try {
      await this.#bucket.proveReadable();
      this.#refusal = undefined;
    } catch (error) {
      if (isModelGuardError(error) && error.code === 'IO_FAILED') this.#refusal = error;
      else this.#log.warn({ err: error }, 'the storage of big parts does not say whether they can be read');
    }
    this.#proved = performance.now();
  }

  close(): void {
    this.#bucket.close();
  }
}

/** Presigned by the pair that reads. */
const bucketUrls = (bucket: Bucket, { config, now }: PartsContext): UrlSigner => ({
  async sign(object) {
    const validity = { now: now(), seconds: config.partUrlSeconds };
    return { url: await bucket.getUrl(object, validity), expires: validity.now + validity.seconds };
  },
});
