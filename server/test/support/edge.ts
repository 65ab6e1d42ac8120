/** A CDN's edge in miniature: checks the HMAC of a URL (docs/server-protocol.md, section 7) and fetches from the bucket. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { type Bucket, s3Client } from '../../../test/support/services.js';

export interface Edge {
  readonly url: string;
  /** Status codes so far. */
  readonly answered: number[];
  /** Where the objects are, once there are some. */
  origin: Bucket | undefined;
  close(): Promise<void>;
}

function allows(url: URL, key: string, now: number): boolean {
  const expires = url.searchParams.get('expires') ?? '';
  const given = Buffer.from(url.searchParams.get('signature') ?? '', 'base64url');
  const expected = createHmac('sha256', key).update(`${url.pathname}\0${expires}`).digest();
  return given.length === expected.length && timingSafeEqual(given, expected) && now <= Number(expires);
}

/** @param now Seconds since 1970. */
export async function startEdge(key: string, now: () => number): Promise<Edge> {
  const answered: number[] = [];
  const edge: { origin: Bucket | undefined } = { origin: undefined };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url ?? '', 'http://edge');
    const end = (status: number): void => {
      answered.push(status);
      response.writeHead(status).end();
    };
    if (request.method !== 'GET' || !allows(url, key, now())) return end(403);
    const { origin } = edge;
    if (!origin) return end(503);
    const client = s3Client(origin, origin.read);
    try {
      const { range: Range } = request.headers;
      const command = new GetObjectCommand({
        Bucket: origin.bucket,
        Key: url.pathname.slice(1),
        ...(Range !== undefined && { Range }),
      });
      const { Body, ContentLength, ContentRange, ETag } = await client.send(command);
      const head = { 'content-length': ContentLength ?? 0, etag: ETag ?? '' };
      answered.push(ContentRange === undefined ? 200 : 206);
      response.writeHead(answered.at(-1) ?? 0, ContentRange === undefined ? head : { ...head, 'content-range': ContentRange });
      (Body as Readable).pipe(response).on('close', () => client.destroy());
    } catch {
      client.destroy();
      end(404);
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return Object.assign(edge, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answered,
    close: () =>
      new Promise<void>((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  });
}
