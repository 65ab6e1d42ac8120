/** A bucket as this server uses it: objects under `big/`, read with one pair of keys and written with the other. */
import {
  COMPLETE_MS,
  type ObjectFacts,
  type ObjectRequest,
  type ObjectStorage,
  type RangedPart,
  rangedPart,
  S3Bucket,
  type S3BucketSettings,
  type S3ClientSettings,
  type S3Clients,
  type StoredPiece,
} from '@org/model-guard/server-kit';
import type { BucketConfig } from '../../base/config.js';
import { clientsOf } from './clients.js';
import type { KeyPairs } from './credentials.js';
import { bucketFailure, isUnknownUpload, mayBeMissing } from './failures.js';
import { Presigner, type Validity } from './presigner.js';

/** An unfinished upload of the bucket. */
export interface OpenUpload {
  readonly object: string;
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly begun: number;
}

const FOLDER = 'big/';
/** An object that always exists, so that the answer for it shows whether objects can be read at all. No part has this name. */
const CANARY = 'canary';
const CONTENT = { contentType: 'application/octet-stream', cacheControl: 'private, max-age=31536000, immutable' };

/** Attempts of one request in all. */
const ATTEMPTS = 3;

/** A bucket. Its failures are SERVER_UNREACHABLE or IO_FAILED. */
export class Bucket {
  readonly #prefix: string;
  readonly #clients: S3Clients;
  readonly #storage: ObjectStorage;
  /** Signs requests that clients send. */
  readonly #signing: { readonly read: Presigner; readonly write: Presigner };

  /** @param hooks For tests. */
  constructor(
    config: BucketConfig,
    keys: KeyPairs,
    hooks: Pick<S3ClientSettings, 'timers'> & Pick<S3BucketSettings, 'pace'> = {},
  ) {
    const { name, prefix, endpoint, publicEndpoint = endpoint } = config;
    this.#prefix = `${prefix}${FOLDER}`;
    this.#clients = clientsOf(config, keys, hooks);
    this.#storage = new S3Bucket(name, this.#clients, { ...CONTENT, attempts: ATTEMPTS, pace: hooks.pace });
    const signing = clientsOf({ ...config, endpoint: publicEndpoint }, keys);
    this.#signing = { read: new Presigner(signing, 'read', name), write: new Presigner(signing, 'write', name) };
  }

  #keyOf(object: string): string {
    return `${this.#prefix}${object}`;
  }

  /** A URL that reads an object. */
  getUrl(object: string, validity: Validity): Promise<string> {
    return this.#signing.read.sign({ method: 'GET', key: this.#keyOf(object) }, validity);
  }

  /** A URL that takes one piece of exactly `size` bytes. */
  pieceUrl(
    object: string,
    id: string,
    { number, size }: Pick<StoredPiece, 'number' | 'size'>,
    validity: Validity,
  ): Promise<string> {
    const query = { partNumber: String(number), uploadId: id };
    const headers = { 'content-length': String(size) };
    return this.#signing.write.sign({ method: 'PUT', key: this.#keyOf(object), query, headers }, validity);
  }

  /** The bucket's id of the upload. */
  create(object: string): Promise<string> {
    return asked('CreateMultipartUpload', (request) => this.#storage.createUpload(this.#keyOf(object), request));
  }

  /** Undefined where the bucket has no such upload: it is complete, or was given up. */
  pieces(object: string, id: string): Promise<readonly StoredPiece[] | undefined> {
    return this.#known('ListParts', object, id, async (key, request) => {
      const found: StoredPiece[] = [];
      for await (const piece of this.#storage.listPieces(key, id, request)) found.push(piece);
      return found;
    });
  }

  /** False where the bucket has no such upload. */
  async complete(object: string, id: string, pieces: readonly StoredPiece[]): Promise<boolean> {
    const etags = new Map(pieces.map(({ number, etag }) => [number, etag]));
    const completed = await this.#known('CompleteMultipartUpload', object, id, async (key, request) => {
      await this.#storage.completeUpload(key, id, etags, { ...request, timeoutMs: COMPLETE_MS });
      return true;
    });
    return completed ?? false;
  }

  /** Succeeds also where the bucket has no such upload. */
  async abort(object: string, id: string): Promise<void> {
    await this.#known('AbortMultipartUpload', object, id, (key, request) => this.#storage.abortUpload(key, id, request));
  }

  /** Undefined where the bucket has no such upload. */
  async #known<T>(
    operation: string,
    object: string,
    id: string,
    task: (key: string, request: ObjectRequest) => Promise<T>,
  ): Promise<T | undefined> {
    try {
      return await asked(operation, (request) => task(this.#keyOf(object), request));
    } catch (error) {
      // Some servers answer 403 for missing objects.
      if (isUnknownUpload(error) || (mayBeMissing(error) && !(await this.#isOpen(object, id)))) return undefined;
      throw error;
    }
  }

  async #isOpen(object: string, id: string): Promise<boolean> {
    for await (const upload of this.uploads(object)) if (upload.id === id) return true;
    return false;
  }

  /** Unfinished uploads under this prefix, of any program: all, or those whose names begin so. */
  async *uploads(object = ''): AsyncGenerator<OpenUpload, void, undefined> {
    const what = 'ListMultipartUploads';
    try {
      for await (const { key, upload: id, started: begun } of this.#storage.listUploads(this.#keyOf(object), { what }))
        if (key.startsWith(this.#prefix)) yield { object: key.slice(this.#prefix.length), id, begun };
    } catch (error) {
      throw bucketFailure(what, error);
    }
  }

  put(object: string, bytes: Uint8Array): Promise<void> {
    return asked('PutObject', (request) => this.#storage.write(this.#keyOf(object), bytes, request));
  }

  remove(object: string): Promise<void> {
    return asked('DeleteObject', (request) => this.#storage.remove(this.#keyOf(object), request));
  }

  /** Undefined where there is certainly no such object. */
  async size(object: string): Promise<number | undefined> {
    return (await this.#headIfThere(object))?.size;
  }

  /** The entity tag: other bytes have another one. Undefined where the bucket gives none. */
  async etag(object: string): Promise<string | undefined> {
    return (await this.#headIfThere(object))?.etag;
  }

  async #headIfThere(object: string): Promise<ObjectFacts | undefined> {
    try {
      return await this.#head(object);
    } catch (error) {
      if (await this.isAbsent(error)) return undefined;
      throw error;
    }
  }

  #head(object: string): Promise<ObjectFacts> {
    return asked('HeadObject', (request) => this.#storage.head(this.#keyOf(object), request));
  }

  /**
   * Whether an object is missing, after a failed attempt to read it: the same keys must be able to read an existing object now.
   * @throws as {@link proveReadable}
   */
  async isAbsent(error: unknown): Promise<boolean> {
    if (!mayBeMissing(error)) return false;
    await this.proveReadable();
    return true;
  }

  /** @throws IO_FAILED where the bucket refuses to read existing objects; SERVER_UNREACHABLE */
  async proveReadable(): Promise<void> {
    try {
      await this.#head(CANARY);
    } catch (error) {
      if (!mayBeMissing(error)) throw error;
      // Make it the first time, or where it was removed, or where the bucket was replaced.
      await this.put(CANARY, new Uint8Array());
      await this.#head(CANARY);
    }
  }

  /** Opens an object for reading in ranges. Errors of its reads are to pass {@link bucketFailure}. */
  open(object: string, size: number): RangedPart {
    const key = this.#keyOf(object);
    return rangedPart({
      size,
      range: (offset, length, signal) => this.#storage.range(key, offset, length, { what: 'GetObject', signal }),
      // The tree is computed from the bytes, never taken from the bucket.
      tree: async () => undefined,
    });
  }

  close(): void {
    this.#clients.close();
  }
}

async function asked<T>(operation: string, task: (request: ObjectRequest) => Promise<T>): Promise<T> {
  try {
    return await task({ what: operation });
  } catch (error) {
    throw bucketFailure(operation, error);
  }
}
