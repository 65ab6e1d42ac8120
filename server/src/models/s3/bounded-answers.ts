/** Answers of a bucket that are no object: lists, errors, acknowledgements. The SDK reads them whole, so they are bounded before. */
import { Readable } from 'node:stream';
import type { S3Client } from '@aws-sdk/client-s3';
import { LeastRate } from '@org/model-guard/server-kit';

/** A list of 1000 keys, each of 1024 bytes that XML may write six times as long. */
const MAX_DOCUMENT = 8 * 1024 * 1024;
const WINDOW_MS = 30_000;

/** Every request of the client; attempts that are repeated, too. */
export function boundAnswers(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const { query } = args.request as { readonly query?: Readonly<Record<string, unknown>> };
      const response = result.response as { readonly statusCode: number; body?: unknown };
      // Ranges of objects are read piece by piece, in bounds of their own.
      const isObject = query?.['x-id'] === 'GetObject' && response.statusCode < 300;
      if (!isObject && response.body instanceof Readable) response.body = Readable.from([await wholeOf(response.body)]);
      return result;
    },
    { step: 'deserialize', priority: 'low', name: 'boundedAnswers' },
  );
}

/**
 * All of an answer. Throws where it is longer than a list can be, or slower than 64 KiB in 30 seconds.
 * @param now milliseconds
 */
export async function wholeOf(body: AsyncIterable<Uint8Array>, now: () => number = () => performance.now()): Promise<Buffer> {
  const rate = new LeastRate(WINDOW_MS);
  const pieces: Uint8Array[] = [];
  let size = 0;
  let before = now();
  for await (const piece of body) {
    size += piece.length;
    if (size > MAX_DOCUMENT) throw new RangeError(`the bucket answers with more than ${MAX_DOCUMENT} bytes`);
    if (!rate.isEnough(now() - before, piece.length)) throw new RangeError('the bucket answers too slowly');
    pieces.push(piece);
    before = now();
  }
  return Buffer.concat(pieces);
}
