/** A bucket of S3 as an object storage: bounded requests, and this library's errors. */
import type { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { throwIfAborted, untilAborted } from '../../base/abort.js';
import { MAX_PIECES } from '../../base/limits.js';
import { ModelGuardError } from '../../errors.js';
import { PageMarkers } from '../../http/page-markers.js';
import { type Pace, pace as realPace, withRetries } from '../../http/retry.js';
import type { RangeResponse } from '../../transfer/range-source.js';
import type { ListedObject, ObjectFacts, ObjectRequest, ObjectStorage, StartedUpload, StoredPiece } from '../object/storage.js';
import { s3Failure } from './errors.js';
import type { S3Clients, Sdk, Use } from './sdk.js';

interface BucketRequest extends ObjectRequest {
  readonly use: Use;
  /** Default: true. */
  readonly repeatable?: boolean | undefined;
  readonly attempts?: number | undefined;
  readonly timeoutMs?: number | undefined;
  readonly ifAbsent?: boolean | undefined;
}
interface Settings {
  /** The SDK's type of a signal has more members than are used. */
  readonly abortSignal?: AbortSignal;
  readonly requestTimeout?: number;
}

/** How a bucket repeats requests, and the headers of the objects that it writes. */
export interface S3BucketSettings {
  readonly pace?: Pace | undefined;
  /** Attempts of one request in all, where the storage announces no pause. Default: 4. */
  readonly attempts?: number | undefined;
  readonly contentType?: string | undefined;
  readonly cacheControl?: string | undefined;
}

export class S3Bucket implements ObjectStorage {
  readonly #bucket: string;
  readonly #clients: S3Clients;
  readonly #settings: S3BucketSettings;

  constructor(bucket: string, clients: S3Clients, settings: S3BucketSettings = {}) {
    this.#bucket = bucket;
    this.#clients = clients;
    this.#settings = settings;
  }

  async #send<T>(
    { use, what, signal, repeatable = true, attempts = this.#settings.attempts, timeoutMs, ifAbsent }: BucketRequest,
    task: (client: S3Client, sdk: Sdk, settings: Settings) => Promise<T>,
  ): Promise<T> {
    throwIfAborted(signal);
    const { client, sdk } = await this.#clients.for(use);
    const settings = {
      ...(signal && { abortSignal: signal as AbortSignal }),
      ...(timeoutMs !== undefined && { requestTimeout: timeoutMs }),
    };
    const { pace = realPace } = this.#settings;
    return await withRetries({ pace, repeatable, signal, attempts }, async () => {
      try {
        return await task(client, sdk, settings);
      } catch (error) {
        throw s3Failure(error, { what, ifAbsent });
      }
    });
  }

  #at(Key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key };
  }

  /** The input of a request that makes an object. */
  #newAt(Key: string): { Bucket: string; Key: string; ContentType?: string; CacheControl?: string } {
    const { contentType, cacheControl } = this.#settings;
    return {
      ...this.#at(Key),
      ...(contentType !== undefined && { ContentType: contentType }),
      ...(cacheControl !== undefined && { CacheControl: cacheControl }),
    };
  }

  head(key: string, request: ObjectRequest): Promise<ObjectFacts> {
    return this.#send({ ...request, use: 'read' }, async (client, { HeadObjectCommand }, settings) => {
      const { ContentLength, LastModified, ETag } = await client.send(new HeadObjectCommand(this.#at(key)), settings);
      if (ContentLength === undefined) throw strange('no size', request);
      return { size: ContentLength, modified: LastModified?.getTime() ?? Number.POSITIVE_INFINITY, etag: ETag };
    });
  }

  read(key: string, limit: number, request: ObjectRequest & Pick<BucketRequest, 'attempts'>): Promise<Uint8Array> {
    return this.#send({ ...request, use: 'read' }, async (client, { GetObjectCommand }, settings) => {
      const { Body, ContentLength } = await client.send(new GetObjectCommand(this.#at(key)), settings);
      const body = Body as Readable;
      if ((ContentLength ?? 0) > limit) throw tooLong(body, limit, request);
      const pieces: Uint8Array[] = [];
      let size = 0;
      for await (const piece of body as AsyncIterable<Uint8Array>) {
        size += piece.length;
        if (size > limit) throw tooLong(body, limit, request);
        pieces.push(piece);
      }
      return Uint8Array.from(Buffer.concat(pieces));
    });
  }

  async range(key: string, offset: number, length: number, request: ObjectRequest): Promise<RangeResponse> {
    const input = { ...this.#at(key), Range: `bytes=${offset}-${offset + length - 1}` };
    // The SDK asks for credentials without a look at the signal.
    const answer = await untilAborted(
      request.signal,
      this.#send({ ...request, use: 'read', attempts: 1 }, (client, { GetObjectCommand }, settings) =>
        client.send(new GetObjectCommand(input), settings),
      ),
      { late: ({ Body }) => void (Body as Readable).destroy() },
    );
    const body = answer.Body as Readable;
    return {
      status: answer.$metadata.httpStatusCode ?? 0,
      contentRange: answer.ContentRange,
      contentLength: answer.ContentLength,
      bytes: body as AsyncIterable<Uint8Array>,
      discard: () => void body.destroy(),
    };
  }

  /** With `ifAbsent` an attempt with an unknown outcome is not repeated. */
  async write(
    key: string,
    Body: Uint8Array,
    { ifAbsent = false, ...request }: ObjectRequest & { readonly ifAbsent?: boolean | undefined },
  ): Promise<void> {
    const input = { ...this.#newAt(key), Body, ...(ifAbsent && { IfNoneMatch: '*' }) };
    await this.#send({ ...request, use: 'write', repeatable: !ifAbsent, ifAbsent }, (client, { PutObjectCommand }, settings) =>
      client.send(new PutObjectCommand(input), settings),
    );
  }

  async remove(key: string, request: ObjectRequest): Promise<void> {
    await this.#send({ ...request, use: 'write' }, (client, { DeleteObjectCommand }, settings) =>
      client.send(new DeleteObjectCommand(this.#at(key)), settings),
    );
  }

  async *list(Prefix: string, request: ObjectRequest): AsyncGenerator<ListedObject, void, undefined> {
    const markers = new PageMarkers();
    for (let token: string | undefined; ; ) {
      const input = { Bucket: this.#bucket, Prefix, ...(token !== undefined && { ContinuationToken: token }) };
      const page = await this.#send({ ...request, use: 'read' }, (client, { ListObjectsV2Command }, settings) =>
        client.send(new ListObjectsV2Command(input), settings),
      );
      for (const { Key, LastModified } of page.Contents ?? [])
        if (Key !== undefined) yield { key: Key, modified: LastModified?.getTime() ?? Number.POSITIVE_INFINITY };
      if (!page.IsTruncated) return;
      token = page.NextContinuationToken;
      if (!markers.goesOn(token, page.Contents?.length ?? 0)) throw endless(request);
    }
  }

  async createUpload(key: string, request: ObjectRequest): Promise<string> {
    const { UploadId } = await this.#send({ ...request, use: 'write' }, (client, { CreateMultipartUploadCommand }, settings) =>
      client.send(new CreateMultipartUploadCommand(this.#newAt(key)), settings),
    );
    if (UploadId === undefined) throw strange('no upload', request);
    return UploadId;
  }

  async sendPiece(key: string, UploadId: string, PartNumber: number, Body: Uint8Array, request: ObjectRequest): Promise<string> {
    const input = { ...this.#at(key), UploadId, PartNumber, Body };
    const { ETag } = await this.#send({ ...request, use: 'write', attempts: 1 }, (client, { UploadPartCommand }, settings) =>
      client.send(new UploadPartCommand(input), settings),
    );
    if (ETag === undefined) throw strange('no entity tag', request);
    return ETag;
  }

  async *listPieces(key: string, UploadId: string, request: ObjectRequest): AsyncGenerator<StoredPiece, void, undefined> {
    const markers = new PageMarkers();
    let count = 0;
    for (let marker: string | undefined; ; ) {
      const input = { ...this.#at(key), UploadId, ...(marker !== undefined && { PartNumberMarker: marker }) };
      const page = await this.#send({ ...request, use: 'write' }, (client, { ListPartsCommand }, settings) =>
        client.send(new ListPartsCommand(input), settings),
      );
      for (const { PartNumber, Size, ETag, LastModified } of page.Parts ?? [])
        if (PartNumber !== undefined && Size !== undefined && ETag !== undefined)
          yield { number: PartNumber, size: Size, etag: ETag, modified: LastModified?.getTime() ?? Number.POSITIVE_INFINITY };
      if (!page.IsTruncated) return;
      marker = page.NextPartNumberMarker;
      count += page.Parts?.length ?? 0;
      if (!markers.goesOn(marker, page.Parts?.length ?? 0) || count >= MAX_PIECES) throw endless(request);
    }
  }

  async completeUpload(
    key: string,
    UploadId: string,
    etags: ReadonlyMap<number, string>,
    { timeoutMs, ...request }: ObjectRequest & { readonly timeoutMs: number },
  ): Promise<void> {
    const Parts = [...etags].sort(([a], [b]) => a - b).map(([PartNumber, ETag]) => ({ PartNumber, ETag }));
    const input = { ...this.#at(key), UploadId, MultipartUpload: { Parts } };
    await this.#send({ ...request, use: 'write', timeoutMs }, (client, { CompleteMultipartUploadCommand }, settings) =>
      client.send(new CompleteMultipartUploadCommand(input), settings),
    );
  }

  async abortUpload(key: string, UploadId: string, request: ObjectRequest): Promise<void> {
    await this.#send({ ...request, use: 'write' }, (client, { AbortMultipartUploadCommand }, settings) =>
      client.send(new AbortMultipartUploadCommand({ ...this.#at(key), UploadId }), settings),
    );
  }

  async *listUploads(Prefix: string, request: ObjectRequest): AsyncGenerator<StartedUpload, void, undefined> {
    const markers = new PageMarkers();
    for (let from: { KeyMarker?: string; UploadIdMarker?: string } = {}; ; ) {
      const input = { Bucket: this.#bucket, Prefix, ...from };
      const page = await this.#send({ ...request, use: 'write' }, (client, { ListMultipartUploadsCommand }, settings) =>
        client.send(new ListMultipartUploadsCommand(input), settings),
      );
      for (const { Key, UploadId, Initiated } of page.Uploads ?? [])
        if (Key !== undefined && UploadId !== undefined)
          yield { key: Key, upload: UploadId, started: Initiated?.getTime() ?? Number.POSITIVE_INFINITY };
      if (!page.IsTruncated) return;
      const { NextKeyMarker: key, NextUploadIdMarker: id } = page;
      if (!markers.goesOn(key && `${key}/${id}`, page.Uploads?.length ?? 0)) throw endless(request);
      from = { ...(key !== undefined && { KeyMarker: key }), ...(id !== undefined && { UploadIdMarker: id }) };
    }
  }
}

const endless = (request: ObjectRequest): ModelGuardError => strange('a list that does not go on', request);

const strange = (which: string, { what }: ObjectRequest): ModelGuardError =>
  new ModelGuardError('RESPONSE_INVALID', `${what}: the storage answers with ${which}`, {
    advice: 'Check the endpoint: is it an S3 server?',
  });

function tooLong(body: Readable, limit: number, { what }: ObjectRequest): ModelGuardError {
  body.destroy();
  return new ModelGuardError('LIMIT_EXCEEDED', `${what} holds more than the ${limit} bytes that are read`);
}
