/** An S3 server in memory that errs where a test says so. It checks no signatures: a real one does, in the services tests. */
import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface S3Asked {
  readonly method: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
  /** The id of the keys that signed it. */
  readonly keyId: string;
}
interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}
/** Answers instead; or takes the response into its own hands (`taken`); or, with nothing, lets the truth be told. */
type Hook = (asked: S3Asked, response: ServerResponse) => Reply | 'taken' | undefined;

interface Stored {
  readonly body: Buffer;
  readonly etag: string;
  readonly modified: Date;
}
interface Upload {
  readonly key: string;
  readonly begun: Date;
  readonly parts: Map<number, Stored>;
}

export const s3Error = (status: number, code: string): Reply => ({
  status,
  headers: { 'content-type': 'application/xml', 'x-amz-request-id': 'request-1' },
  body: `<?xml version="1.0"?><Error><Code>${code}</Code><Message>words of the server</Message></Error>`,
});

const xml = (name: string, inner: string): Reply => ({
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0"?><${name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${inner}</${name}>`,
});

export class FakeS3 {
  readonly objects = new Map<string, Stored>();
  readonly uploads = new Map<string, Upload>();
  readonly asked: S3Asked[] = [];
  /** Of lists. */
  pageSize = 1000;
  /** What is stored now carries it. */
  time = new Date('2026-01-01T00:00:00Z');
  hook: Hook = () => undefined;
  readonly #server = createServer((request, response) => {
    this.#serve(request, response).catch(() => response.destroy());
  });
  endpoint = '';

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.endpoint = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return this;
  }
  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
  reset(): void {
    this.objects.clear();
    this.uploads.clear();
    this.asked.length = 0;
    this.pageSize = 1000;
    this.hook = () => undefined;
  }
  put(key: string, body: Uint8Array, modified = this.time): void {
    this.objects.set(key, stored(body, modified));
  }
  begin(key: string, begun = this.time): string {
    const id = randomUUID();
    this.uploads.set(id, { key, begun, parts: new Map() });
    return id;
  }
  count(method: string, part = ''): number {
    return this.asked.filter((one) => one.method === method && one.key.includes(part)).length;
  }
  /** Does it, as if nothing was in the way. */
  truth(asked: S3Asked): Reply {
    const { method, key, query, headers, body } = asked;
    const id = query.get('uploadId');
    if (id !== null) return this.#upload(asked, id);
    if (method === 'POST') return xml('InitiateMultipartUploadResult', `<UploadId>${this.begin(key)}</UploadId>`);
    if (key === '') return query.has('uploads') ? this.#listUploads(query) : this.#list(query);
    const there = this.objects.get(key);
    if (method === 'PUT') {
      if (there && headers['if-none-match'] === '*') return s3Error(412, 'PreconditionFailed');
      this.put(key, body);
      return { headers: { etag: this.objects.get(key)?.etag ?? '' } };
    }
    if (method === 'DELETE') {
      this.objects.delete(key);
      return { status: 204 };
    }
    if (!there) return s3Error(404, 'NoSuchKey');
    if (headers['if-match'] !== undefined && headers['if-match'] !== there.etag) return s3Error(412, 'PreconditionFailed');
    const size = there.body.length;
    const common = { etag: there.etag, 'last-modified': there.modified.toUTCString() };
    if (method === 'HEAD') return { headers: { ...common, 'content-length': String(size) } };
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '') ?? [];
    if (from === undefined) return { headers: common, body: there.body };
    const range = `bytes ${from}-${to}/${size}`;
    return {
      status: 206,
      headers: { ...common, 'content-range': range },
      body: there.body.subarray(Number(from), Number(to) + 1),
    };
  }

  #upload({ method, query, body }: S3Asked, id: string): Reply {
    const upload = this.uploads.get(id);
    if (!upload) return s3Error(404, 'NoSuchUpload');
    if (method === 'PUT') {
      const part = stored(body, this.time);
      upload.parts.set(Number(query.get('partNumber')), part);
      return { headers: { etag: part.etag } };
    }
    if (method === 'DELETE') {
      this.uploads.delete(id);
      return { status: 204 };
    }
    const parts = [...upload.parts].sort(([a], [b]) => a - b);
    if (method === 'GET') {
      const { page, more } = this.#page(parts, ([number]) => number > Number(query.get('part-number-marker') ?? 0));
      const entries = page.map(
        ([number, { body: bytes, etag, modified }]) =>
          `<Part><PartNumber>${number}</PartNumber><Size>${bytes.length}</Size><ETag>${etag}</ETag><LastModified>${modified.toISOString()}</LastModified></Part>`,
      );
      const next = `<NextPartNumberMarker>${page.at(-1)?.[0] ?? 0}</NextPartNumberMarker>`;
      return xml('ListPartsResult', `<IsTruncated>${more}</IsTruncated>${next}${entries.join('')}`);
    }
    const named = [...body.toString().matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map(([, number]) => Number(number));
    if (named.join() !== parts.map(([number]) => number).join()) return s3Error(400, 'InvalidPart');
    this.uploads.delete(id);
    this.put(upload.key, Buffer.concat(parts.map(([, part]) => part.body)));
    return xml('CompleteMultipartUploadResult', `<Key>${upload.key}</Key><ETag>"whole"</ETag>`);
  }

  #list(query: URLSearchParams): Reply {
    const after = query.get('continuation-token') ?? '';
    const all = [...this.objects]
      .filter(([key]) => key.startsWith(query.get('prefix') ?? ''))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const { page, more } = this.#page(all, ([key]) => key > after);
    const entries = page.map(
      ([key, { modified, body }]) =>
        `<Contents><Key>${key}</Key><Size>${body.length}</Size><LastModified>${modified.toISOString()}</LastModified></Contents>`,
    );
    const next = more ? `<NextContinuationToken>${page.at(-1)?.[0]}</NextContinuationToken>` : '';
    return xml('ListBucketResult', `<IsTruncated>${more}</IsTruncated>${next}${entries.join('')}`);
  }

  #listUploads(query: URLSearchParams): Reply {
    const after = `${query.get('key-marker') ?? ''} ${query.get('upload-id-marker') ?? ''}`;
    const place = ([id, { key }]: [string, Upload]): string => `${key} ${id}`;
    const all = [...this.uploads].filter(([, { key }]) => key.startsWith(query.get('prefix') ?? ''));
    const { page, more } = this.#page(
      all.sort((a, b) => (place(a) < place(b) ? -1 : 1)),
      (one) => place(one) > after,
    );
    const entries = page.map(
      ([id, { key, begun }]) =>
        `<Upload><Key>${key}</Key><UploadId>${id}</UploadId><Initiated>${begun.toISOString()}</Initiated></Upload>`,
    );
    const [id, last] = page.at(-1) ?? [];
    const next = more ? `<NextKeyMarker>${last?.key}</NextKeyMarker><NextUploadIdMarker>${id}</NextUploadIdMarker>` : '';
    return xml('ListMultipartUploadsResult', `<IsTruncated>${more}</IsTruncated>${next}${entries.join('')}`);
  }

  #page<Item>(all: readonly Item[], isAfter: (item: Item) => boolean): { page: Item[]; more: boolean } {
    const rest = all.filter(isAfter);
    return { page: rest.slice(0, this.pageSize), more: rest.length > this.pageSize };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', headers, url = '' } = request;
    const { pathname, searchParams: query } = new URL(url, this.endpoint);
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const [, , ...key] = decodeURIComponent(pathname).split('/');
    const [, keyId = ''] = /Credential=([^/]+)\//.exec(headers.authorization ?? '') ?? [];
    const asked: S3Asked = { method, key: key.join('/'), query, headers, body: Buffer.concat(pieces), keyId };
    this.asked.push(asked);
    const reply = this.hook(asked, response) ?? this.truth(asked);
    if (reply === 'taken') return;
    const body = Buffer.from(reply.body ?? '');
    response.writeHead(reply.status ?? 200, { 'content-length': body.length, ...reply.headers });
    response.end(method === 'HEAD' ? undefined : body);
  }
}

const stored = (body: Uint8Array, modified: Date): Stored => ({
  body: Buffer.from(body),
  etag: `"${createHash('md5').update(body).digest('hex')}"`,
  modified,
});
