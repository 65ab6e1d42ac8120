/** The AWS SDK's requests, sent by our transport: one set of rules for TLS, time limits, redirects and cancelling. */
import { Readable } from 'node:stream';
import { isUint8Array } from 'node:util/types';
import type { S3ClientConfig } from '@aws-sdk/client-s3';
import type { AbortSignalLike } from '../../base/abort.js';
import { hasCode, ModelGuardError } from '../../errors.js';
import { isPage } from '../../http/pages.js';
import type { HttpResponse } from '../../http/response.js';
import { retryAfter } from '../../http/retry.js';
import { withRetryHint } from '../../http/retry-hints.js';
import { slices } from '../../http/slices.js';
import type { Transport, Upload } from '../../http/transport.js';

/** As the SDK builds it. */
interface SdkRequest {
  readonly method: string;
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  /** Encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

interface SdkResponse {
  readonly statusCode: number;
  readonly headers: Record<string, string>;
  readonly body: Readable;
}

interface SdkOptions {
  readonly abortSignal?: unknown;
  readonly requestTimeout?: number;
}

type RequestHandler = Extract<NonNullable<S3ClientConfig['requestHandler']>, { handle: unknown }>;

/** Everything that is no object, which is streamed: a list of 1000 keys, each of 1024 bytes that XML may write six times as long. */
const MAX_DOCUMENT = 8 * 1024 * 1024;
/** Of an error that is longer, the status alone is used. */
const MAX_FAILURE = 64 * 1024;

export const requestHandler = (transport: Transport): RequestHandler => ({
  metadata: { handlerProtocol: 'http/1.1' },
  async handle(request: SdkRequest, { abortSignal, requestTimeout }: SdkOptions = {}): Promise<{ response: SdkResponse }> {
    const { method } = request;
    const answer = await transport.send({
      method,
      url: addressOf(request),
      headers: request.headers,
      body: bodyOf(request.body),
      // As it was given to the SDK, which only passes it on.
      signal: abortSignal as AbortSignalLike | undefined,
      timeoutMs: requestTimeout,
      long: method === 'GET' || method === 'PUT',
    });
    if (isPage(answer) && answer.headers['x-amz-request-id'] === undefined) throw notStorage(answer);
    const body = await readable(request, answer);
    return { response: { statusCode: answer.status, headers: headersOf(answer), body } };
  },
});

/** Answers of S3 servers have a request id, or are XML. */
function notStorage(answer: HttpResponse): ModelGuardError {
  answer.discard();
  return withRetryHint(
    new ModelGuardError('SERVER_FAILED', `Something else than the storage answers, with status ${answer.status}`, {
      advice: 'Check the endpoint, and what stands before the storage: a proxy, a gateway, the log-in page of a network.',
    }),
    { effect: 'unknown', after: retryAfter(answer.headers['retry-after'], Date.now()) },
  );
}

function addressOf({ protocol, hostname, port, path, query = {} }: SdkRequest): URL {
  const pairs = Object.entries(query).flatMap(([name, value]) => {
    if (value === null) return [encoded(name)];
    return (typeof value === 'string' ? [value] : value).map((one) => `${encoded(name)}=${encoded(one)}`);
  });
  const host = port === undefined ? hostname : `${hostname}:${port}`;
  return new URL(`${protocol}//${host}${path}${pairs.length > 0 ? `?${pairs.join('&')}` : ''}`);
}

/** As it is signed: RFC 3986. */
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);

function bodyOf(body: unknown): Upload | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body !== 'string' && !isUint8Array(body)) throw new TypeError('the body of a request is no bytes');
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  return bytes.length === 0 ? undefined : { size: bytes.length, pieces: slices(bytes) };
}

/** The SDK reads what it gets to an end only where it wants something of it. */
async function readable({ method, query }: SdkRequest, answer: HttpResponse): Promise<Readable> {
  if (method === 'HEAD') {
    for await (const _ of answer.pieces());
    return Readable.from([]);
  }
  if (answer.status >= 300) return Readable.from([await failureText(answer)]);
  if (query?.['x-id'] !== 'GetObject') return Readable.from([await answer.bytes(MAX_DOCUMENT)]);
  const body = Readable.from(answer.pieces(), { objectMode: false });
  let ended = false;
  body.once('end', () => {
    ended = true;
  });
  body.once('close', () => {
    if (!ended) answer.discard();
  });
  return body;
}

async function failureText(answer: HttpResponse): Promise<Uint8Array> {
  try {
    return await answer.bytes(MAX_FAILURE);
  } catch (error) {
    if (hasCode(error, 'RESPONSE_INVALID')) return new Uint8Array();
    throw error;
  }
}

const headersOf = ({ headers }: HttpResponse): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)] as const])),
  );
