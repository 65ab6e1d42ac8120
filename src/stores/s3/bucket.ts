/** A bucket: the few things that are asked of it, within bounds and with errors of ours. Nothing here knows of models. */
import type { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { type AbortSignalLike, throwIfAborted } from '../../abort.js';
import { ModelGuardError } from '../../errors.js';
import { type Pace, retried } from '../../http/pace.js';
import { PageMarkers } from '../../http/page-markers.js';
import { MAX_PIECES } from '../../limits.js';
import type { RangeHead } from '../../transfer/range-answer.js';
import { s3Failure } from './errors.js';
import type { Clients, Sdk, Use } from './sdk.js';

/** For whom, and what it is called in errors: `The small part of net@1`. */
export interface About {
  readonly what: string;
  readonly signal?: AbortSignalLike | undefined;
}
interface Request extends About {
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

export interface ObjectFacts {
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}
export interface Listed {
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
}
export interface Begun {
  readonly key: string;
  readonly upload: string;
  /** Milliseconds since 1970. */
  readonly begun: number;
}
export interface Sent {
  readonly number: number;
  readonly size: number;
  readonly etag: string;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

export class Bucket {
  readonly #bucket: string;
  readonly #clients: Clients;
  readonly #pace: Pace;

  constructor(bucket: string, clients: Clients, pace: Pace) {
    this.#bucket = bucket;
    this.#clients = clients;
    this.#pace = pace;
  }

  async #ask<T>(
    { use, what, signal, repeatable = true, attempts, timeoutMs, ifAbsent }: Request,
    task: (client: S3Client, sdk: Sdk, settings: Settings) => Promise<T>,
  ): Promise<T> {
    throwIfAborted(signal);
    const { client, sdk } = await this.#clients.for(use);
    const settings = {
      ...(signal && { abortSignal: signal as AbortSignal }),
      ...(timeoutMs !== undefined && { requestTimeout: timeoutMs }),
    };
    return await retried({ pace: this.#pace, repeatable, signal, attempts }, async () => {
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

  /** NOT_FOUND */
  facts(key: string, about: About): Promise<ObjectFacts> {
    return this.#ask({ ...about, use: 'read' }, async (client, { HeadObjectCommand }, settings) => {
      const { ContentLength, LastModified } = await client.send(new HeadObjectCommand(this.#at(key)), settings);
      if (ContentLength === undefined) throw strange('no size', about);
      return { size: ContentLength, modified: LastModified?.getTime() ?? Number.POSITIVE_INFINITY };
    });
  }

  /** The whole object. NOT_FOUND; LIMIT_EXCEEDED above `limit` bytes, before they are read */
  read(key: string, limit: number, about: About & Pick<Request, 'attempts'>): Promise<Uint8Array> {
    return this.#ask({ ...about, use: 'read' }, async (client, { GetObjectCommand }, settings) => {
      const { Body, ContentLength } = await client.send(new GetObjectCommand(this.#at(key)), settings);
      const body = Body as Readable;
      if ((ContentLength ?? 0) > limit) throw tooLong(body, limit, about);
      const pieces: Uint8Array[] = [];
      let size = 0;
      for await (const piece of body as AsyncIterable<Uint8Array>) {
        size += piece.length;
        if (size > limit) throw tooLong(body, limit, about);
        pieces.push(piece);
      }
      return Uint8Array.from(Buffer.concat(pieces));
    });
  }

  /** One request for the bytes [offset, offset + length), not repeated; `check` sees the head before the first of them comes. */
  async *range(
    key: string,
    { offset, length }: { readonly offset: number; readonly length: number },
    check: (head: RangeHead) => void,
    about: About,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const Range = `bytes=${offset}-${offset + length - 1}`;
    const input = { ...this.#at(key), Range };
    const answer = await this.#ask({ ...about, use: 'read', attempts: 1 }, (client, { GetObjectCommand }, settings) =>
      client.send(new GetObjectCommand(input), settings),
    );
    const body = answer.Body as Readable;
    try {
      check({
        status: answer.$metadata.httpStatusCode ?? 0,
        contentRange: answer.ContentRange,
        contentLength: answer.ContentLength,
      });
      yield* body as AsyncIterable<Uint8Array>;
    } finally {
      body.destroy();
    }
  }

  /** With `ifAbsent` ALREADY_EXISTS if there is one; an attempt whose outcome nobody knows is then not repeated. */
  async write(
    key: string,
    Body: Uint8Array,
    { ifAbsent = false, ...about }: About & { readonly ifAbsent?: boolean | undefined },
  ): Promise<void> {
    const input = { ...this.#at(key), Body, ...(ifAbsent && { IfNoneMatch: '*' }) };
    await this.#ask({ ...about, use: 'write', repeatable: !ifAbsent, ifAbsent }, (client, { PutObjectCommand }, settings) =>
      client.send(new PutObjectCommand(input), settings),
    );
  }

  /** It need not be there. */
  async remove(key: string, about: About): Promise<void> {
    await this.#ask({ ...about, use: 'write' }, (client, { DeleteObjectCommand }, settings) =>
      client.send(new DeleteObjectCommand(this.#at(key)), settings),
    );
  }

  async *list(Prefix: string, about: About): AsyncGenerator<Listed, void, undefined> {
    const markers = new PageMarkers();
    for (let token: string | undefined; ; ) {
      const input = { Bucket: this.#bucket, Prefix, ...(token !== undefined && { ContinuationToken: token }) };
      const page = await this.#ask({ ...about, use: 'read' }, (client, { ListObjectsV2Command }, settings) =>
        client.send(new ListObjectsV2Command(input), settings),
      );
      for (const { Key, LastModified } of page.Contents ?? [])
        if (Key !== undefined) yield { key: Key, modified: LastModified?.getTime() ?? Number.POSITIVE_INFINITY };
      if (!page.IsTruncated) return;
      token = page.NextContinuationToken;
      if (!markers.goesOn(token, page.Contents?.length ?? 0)) throw endless(about);
    }
  }

  // Uploads in pieces.

  async begin(key: string, about: About): Promise<string> {
    const { UploadId } = await this.#ask({ ...about, use: 'write' }, (client, { CreateMultipartUploadCommand }, settings) =>
      client.send(new CreateMultipartUploadCommand(this.#at(key)), settings),
    );
    if (UploadId === undefined) throw strange('no upload', about);
    return UploadId;
  }

  /** Not repeated: whoever sends pieces sees to that. Returns its entity tag. */
  async send(key: string, UploadId: string, PartNumber: number, Body: Uint8Array, about: About): Promise<string> {
    const input = { ...this.#at(key), UploadId, PartNumber, Body };
    const { ETag } = await this.#ask({ ...about, use: 'write', attempts: 1 }, (client, { UploadPartCommand }, settings) =>
      client.send(new UploadPartCommand(input), settings),
    );
    if (ETag === undefined) throw strange('no entity tag', about);
    return ETag;
  }

  /** NOT_FOUND for an upload that is gone. */
  async *sent(key: string, UploadId: string, about: About): AsyncGenerator<Sent, void, undefined> {
    const markers = new PageMarkers();
    let count = 0;
    for (let marker: string | undefined; ; ) {
      const input = { ...this.#at(key), UploadId, ...(marker !== undefined && { PartNumberMarker: marker }) };
      const page = await this.#ask({ ...about, use: 'write' }, (client, { ListPartsCommand }, settings) =>
        client.send(new ListPartsCommand(input), settings),
      );
      for (const { PartNumber, Size, ETag, LastModified } of page.Parts ?? [])
        if (PartNumber !== undefined && Size !== undefined && ETag !== undefined)
          yield { number: PartNumber, size: Size, etag: ETag, modified: LastModified?.getTime() ?? Number.POSITIVE_INFINITY };
      if (!page.IsTruncated) return;
      marker = page.NextPartNumberMarker;
      count += page.Parts?.length ?? 0;
      if (!markers.goesOn(marker, page.Parts?.length ?? 0) || count >= MAX_PIECES) throw endless(about);
    }
  }

  /** NOT_FOUND for an upload that is gone: by an earlier attempt, too. */
  async complete(
    key: string,
    UploadId: string,
    etags: ReadonlyMap<number, string>,
    { timeoutMs, ...about }: About & { readonly timeoutMs: number },
  ): Promise<void> {
    const Parts = [...etags].sort(([a], [b]) => a - b).map(([PartNumber, ETag]) => ({ PartNumber, ETag }));
    const input = { ...this.#at(key), UploadId, MultipartUpload: { Parts } };
    await this.#ask({ ...about, use: 'write', timeoutMs }, (client, { CompleteMultipartUploadCommand }, settings) =>
      client.send(new CompleteMultipartUploadCommand(input), settings),
    );
  }

  /** NOT_FOUND for an upload that is gone. */
  async abort(key: string, UploadId: string, about: About): Promise<void> {
    await this.#ask({ ...about, use: 'write' }, (client, { AbortMultipartUploadCommand }, settings) =>
      client.send(new AbortMultipartUploadCommand({ ...this.#at(key), UploadId }), settings),
    );
  }

  async *uploads(Prefix: string, about: About): AsyncGenerator<Begun, void, undefined> {
    const markers = new PageMarkers();
    for (let from: { KeyMarker?: string; UploadIdMarker?: string } = {}; ; ) {
      const input = { Bucket: this.#bucket, Prefix, ...from };
      const page = await this.#ask({ ...about, use: 'write' }, (client, { ListMultipartUploadsCommand }, settings) =>
        client.send(new ListMultipartUploadsCommand(input), settings),
      );
      for (const { Key, UploadId, Initiated } of page.Uploads ?? [])
        if (Key !== undefined && UploadId !== undefined)
          yield { key: Key, upload: UploadId, begun: Initiated?.getTime() ?? Number.POSITIVE_INFINITY };
      if (!page.IsTruncated) return;
      const { NextKeyMarker: key, NextUploadIdMarker: id } = page;
      if (!markers.goesOn(key && `${key}/${id}`, page.Uploads?.length ?? 0)) throw endless(about);
      from = { ...(key !== undefined && { KeyMarker: key }), ...(id !== undefined && { UploadIdMarker: id }) };
    }
  }
}

const endless = (about: About): ModelGuardError => strange('a list that does not go on', about);

const strange = (which: string, { what }: About): ModelGuardError =>
  new ModelGuardError('RESPONSE_INVALID', `${what}: the storage answers with ${which}`, {
    advice: 'Check the endpoint: is it an S3 server?',
  });

function tooLong(body: Readable, limit: number, { what }: About): ModelGuardError {
  body.destroy();
  return new ModelGuardError('LIMIT_EXCEEDED', `${what} holds more than the ${limit} bytes that are read`);
}
