/** A bucket as this server uses it: objects under `big/`, read with one pair of keys and written with the other. */
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { MAX_PIECES, PageMarkers } from '@org/model-guard/server-kit';
import type { BucketConfig } from '../../storage-config.js';
import { clientOf } from './client.js';
import type { KeyPair, KeyPairs } from './credentials.js';
import { bucketFailure, endlessList, isUnknownUpload, mayBeMissing } from './failures.js';
import { Presigner, type Validity } from './presigner.js';

/** What the bucket keeps of an upload. */
export interface Piece {
  readonly number: number;
  readonly size: number;
  readonly tag: string;
}
/** An upload that the bucket knows. */
export interface OpenUpload {
  readonly object: string;
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly begun: number;
}
/** The facts that a bucket gives of an object without its bytes. */
interface Head {
  readonly size: number | undefined;
  readonly etag: string | undefined;
}
/** The answer to a request for a range. */
export interface RangeAnswer {
  readonly status: number;
  readonly contentRange: string | undefined;
  readonly contentLength: number | undefined;
  readonly bytes: AsyncIterable<Uint8Array>;
}

const FOLDER = 'big/';
/** It is always there, so that an answer about it shows whether objects can be read at all. No part has such a name. */
const CANARY = 'canary';
const KIND = { ContentType: 'application/octet-stream', CacheControl: 'private, max-age=31536000, immutable' };

/** What fails here is SERVER_UNREACHABLE or IO_FAILED. */
export class Bucket {
  readonly #config: BucketConfig;
  readonly #read: S3Client;
  readonly #write: S3Client;
  /** For what clients send. */
  readonly #signing: { readonly read: Presigner; readonly write: Presigner };

  constructor(config: BucketConfig, { read, write }: KeyPairs) {
    const { endpoint, publicEndpoint = endpoint, region, pathStyle } = config;
    this.#config = config;
    this.#read = clientOf({ endpoint, region, pathStyle }, read);
    this.#write = clientOf({ endpoint, region, pathStyle }, write);
    const place = { endpoint: publicEndpoint, region, pathStyle };
    const presigner = (pair: KeyPair): Presigner => new Presigner(clientOf(place, pair), config.name);
    this.#signing = { read: presigner(read), write: presigner(write) };
  }

  #at(object: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.#config.name, Key: `${this.#config.prefix}${FOLDER}${object}` };
  }

  /** A URL that reads an object. */
  getUrl(object: string, validity: Validity): Promise<string> {
    return this.#signing.read.sign({ method: 'GET', key: this.#at(object).Key }, validity);
  }

  /** A URL that takes one piece of exactly `size` bytes. */
  pieceUrl(object: string, id: string, { number, size }: Omit<Piece, 'tag'>, validity: Validity): Promise<string> {
    const query = { partNumber: String(number), uploadId: id };
    const headers = { 'content-length': String(size) };
    return this.#signing.write.sign({ method: 'PUT', key: this.#at(object).Key, query, headers }, validity);
  }

  /** The id by which the bucket knows the upload. */
  async create(object: string): Promise<string> {
    const { UploadId } = await asked('CreateMultipartUpload', () =>
      this.#write.send(new CreateMultipartUploadCommand({ ...this.#at(object), ...KIND })),
    );
    if (UploadId === undefined) throw bucketFailure('CreateMultipartUpload', undefined);
    return UploadId;
  }

  /** Undefined where the bucket knows no such upload: it is complete, or was given up. */
  async pieces(object: string, id: string): Promise<readonly Piece[] | undefined> {
    const found: Piece[] = [];
    const markers = new PageMarkers();
    let marker: string | undefined;
    do {
      const page = { ...this.#at(object), UploadId: id, ...(marker !== undefined && { PartNumberMarker: marker }) };
      const answer = await this.#known('ListParts', object, id, () => this.#write.send(new ListPartsCommand(page)));
      if (!answer) return undefined;
      for (const { PartNumber: number, Size: size, ETag: tag } of answer.Parts ?? [])
        if (number !== undefined && size !== undefined && tag !== undefined) found.push({ number, size, tag });
      marker = answer.IsTruncated ? answer.NextPartNumberMarker : undefined;
      const goesOn = !answer.IsTruncated || markers.goesOn(marker, answer.Parts?.length ?? 0);
      if (!goesOn || found.length > MAX_PIECES) throw endlessList('ListParts');
    } while (marker !== undefined);
    return found;
  }

  /** False where the bucket knows no such upload. */
  async complete(object: string, id: string, pieces: readonly Piece[]): Promise<boolean> {
    const Parts = pieces.map(({ number, tag }) => ({ PartNumber: number, ETag: tag }));
    const command = new CompleteMultipartUploadCommand({ ...this.#at(object), UploadId: id, MultipartUpload: { Parts } });
    return (await this.#known('CompleteMultipartUpload', object, id, () => this.#write.send(command))) !== undefined;
  }

  /** Also of what the bucket does not know. */
  async abort(object: string, id: string): Promise<void> {
    const command = new AbortMultipartUploadCommand({ ...this.#at(object), UploadId: id });
    await this.#known('AbortMultipartUpload', object, id, () => this.#write.send(command));
  }

  /** Undefined where the bucket knows no such upload. */
  async #known<T>(what: string, object: string, id: string, task: () => Promise<T>): Promise<T | undefined> {
    try {
      return await asked(what, task);
    } catch (error) {
      // Some servers forbid what is not there.
      if (isUnknownUpload(error) || (mayBeMissing(error) && !(await this.#isOpen(object, id)))) return undefined;
      throw error;
    }
  }

  async #isOpen(object: string, id: string): Promise<boolean> {
    for await (const upload of this.uploads(object)) if (upload.id === id) return true;
    return false;
  }

  /** Uploads under this prefix, whoever began them: all, or those whose names begin so. */
  async *uploads(object = ''): AsyncGenerator<OpenUpload, void, undefined> {
    const { name, prefix } = this.#config;
    const folder = `${prefix}${FOLDER}`;
    const Prefix = `${folder}${object}`;
    const markers = new PageMarkers();
    let from: { readonly KeyMarker?: string; readonly UploadIdMarker?: string } = {};
    for (;;) {
      const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({ Bucket: name, Prefix, ...from });
      const answer = await asked('ListMultipartUploads', () => this.#write.send(command));
      for (const { Key, UploadId, Initiated } of answer.Uploads ?? [])
        if (Key?.startsWith(folder) && UploadId !== undefined && Initiated)
          yield { object: Key.slice(folder.length), id: UploadId, begun: Initiated.getTime() };
      const { IsTruncated, NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = answer;
      if (!IsTruncated) return;
      if (KeyMarker === undefined || !markers.goesOn(`${KeyMarker}/${UploadIdMarker}`, answer.Uploads?.length ?? 0))
        throw endlessList('ListMultipartUploads');
      from = { KeyMarker, ...(UploadIdMarker !== undefined && { UploadIdMarker }) };
    }
  }

  async put(object: string, bytes: Uint8Array): Promise<void> {
    const command = new PutObjectCommand({ ...this.#at(object), ...KIND, Body: bytes, ContentLength: bytes.length });
    await asked('PutObject', () => this.#write.send(command));
  }

  async remove(object: string): Promise<void> {
    await asked('DeleteObject', () => this.#write.send(new DeleteObjectCommand(this.#at(object))));
  }

  /** Undefined where it is proved that there is no such object. */
  async size(object: string): Promise<number | undefined> {
    return (await this.#headIfThere(object))?.size;
  }

  /** Other bytes have another one. Undefined also where the bucket gives none. */
  async etag(object: string): Promise<string | undefined> {
    return (await this.#headIfThere(object))?.etag;
  }

  async #headIfThere(object: string): Promise<Head | undefined> {
    try {
      return await this.#head(object);
    } catch (error) {
      if (await this.isAbsent(error)) return undefined;
      throw error;
    }
  }

  async #head(object: string): Promise<Head> {
    const answer = await asked('HeadObject', () => this.#read.send(new HeadObjectCommand(this.#at(object))));
    return { size: answer.ContentLength, etag: answer.ETag };
  }

  /**
   * Whether an object is not there, after an attempt to read it failed so: the same keys can read what is there at this moment.
   * @throws as {@link proveReadable}
   */
  async isAbsent(error: unknown): Promise<boolean> {
    if (!mayBeMissing(error)) return false;
    await this.proveReadable();
    return true;
  }

  /** @throws IO_FAILED where the bucket refuses to read what is there; SERVER_UNREACHABLE */
  async proveReadable(): Promise<void> {
    try {
      await this.#head(CANARY);
    } catch (error) {
      if (!mayBeMissing(error)) throw error;
      // The first time; or it was removed, or another bucket has taken the place of the one before.
      await this.put(CANARY, new Uint8Array());
      await this.#head(CANARY);
    }
  }

  /** The bytes [offset, offset + length), as the bucket answers. */
  async range(object: string, offset: number, length: number, signal: AbortSignal): Promise<RangeAnswer> {
    const command = new GetObjectCommand({ ...this.#at(object), Range: `bytes=${offset}-${offset + length - 1}` });
    const answer = await asked('GetObject', () => this.#read.send(command, { abortSignal: signal }));
    return {
      status: answer.$metadata.httpStatusCode ?? 0,
      contentRange: answer.ContentRange,
      contentLength: answer.ContentLength,
      bytes: failingAs('GetObject', answer.Body as AsyncIterable<Uint8Array>),
    };
  }

  close(): void {
    for (const client of [this.#read, this.#write]) client.destroy();
  }
}

async function asked<T>(what: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw bucketFailure(what, error);
  }
}

async function* failingAs(what: string, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* bytes;
  } catch (error) {
    throw bucketFailure(what, error);
  }
}
