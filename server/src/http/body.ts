/** Reads bodies within limits: JSON, whose bytes are kept where a device signs them, and octets as a stream. */
import { type Readable, Transform } from 'node:stream';
import { ModelGuardError, type Route } from '@org/model-guard/server-kit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { demandBodyRate } from './body-rate.js';
import { definitions } from './shapes.js';

/** Bytes of a body where the route sets no other limit. */
export const BODY_LIMIT = 64 * 1024;
const DEEPEST = 32;
/** Members and elements together; the largest body of the contract has about twenty. */
const MOST_VALUES = 1000;
const COMMA = 0x2c;
/** Bytes that a body must bring in each window (`body-rate.ts`). JSON is held in memory meanwhile, octets are not. */
const LEAST_JSON = 1024 * 1024;
const LEAST_OCTETS = 64 * 1024;
const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const OPENING = new Set([0x5b, 0x7b]);
const CLOSING = new Set([0x5d, 0x7d]);
const NOTHING = Buffer.alloc(0);

/** Accepts the one content type of each route's contract. */
export function registerBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.decorateRequest('rawBody');
  app.addHook('onRequest', async (request) => {
    request.rawBody = NOTHING;
  });
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: Readable) => {
    if (bodyOf(request) === 'octets') throw wrongType();
    const body = await collected(payload, announced(request));
    if (routeOf(request)?.proof) request.rawBody = body;
    return parseJson(body);
  });
  app.addContentTypeParser('application/octet-stream', async (request: FastifyRequest, payload: Readable) => {
    if (bodyOf(request) !== 'octets') throw wrongType();
    announced(request);
    return bounded(payload, limitOf(request));
  });
  app.addHook('onRequest', async (request) => {
    if (!request.raw.complete && hasBody(request))
      demandBodyRate(request.raw, bodyOf(request) === 'octets' ? LEAST_OCTETS : LEAST_JSON);
  });
  app.addHook('preValidation', async (request) => {
    if (bodyOf(request) === 'octets' && request.body === undefined) throw wrongType();
  });
}

const routeOf = ({ routeOptions: { config } }: FastifyRequest): Route | undefined =>
  config.contract === undefined ? undefined : definitions[config.contract];
const bodyOf = (request: FastifyRequest): Route['body'] => routeOf(request)?.body;

const limitOf = ({ routeOptions }: FastifyRequest): number => routeOptions.bodyLimit ?? BODY_LIMIT;
const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;

/** Bytes of memory that the body of a request takes at most. */
export function bodyLengthOf(request: FastifyRequest): number {
  if (!hasBody(request)) return 0;
  // A stream is passed on as it arrives.
  if (bodyOf(request) === 'octets') return BODY_LIMIT;
  return Math.min(Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY), limitOf(request));
}

/** The announced length of the body, else the limit of its route. @throws LIMIT_EXCEEDED where it is longer than that */
function announced(request: FastifyRequest): number {
  const length = Number(request.headers['content-length'] ?? limitOf(request));
  if (length > limitOf(request)) throw tooLong();
  return length;
}

const wrongType = (): Error => Object.assign(new Error('unsupported media type'), { statusCode: 415 });
const tooLong = (): ModelGuardError =>
  new ModelGuardError('LIMIT_EXCEEDED', 'The request is longer than this route takes', { advice: 'Send less.' });
const notJson = (what: string): ModelGuardError =>
  new ModelGuardError('INVALID_ARGUMENT', `The body ${what}`, { advice: 'Send JSON as /docs describes it.' });

/** Reads a body into the memory that was counted for it, without a copy. @throws LIMIT_EXCEEDED beyond `bytes` */
function collected(payload: Readable, bytes: number): Promise<Buffer> {
  const body = Buffer.allocUnsafeSlow(bytes);
  let length = 0;
  return new Promise((resolve, reject) => {
    payload.on('data', (chunk: Buffer) => {
      if (length + chunk.length > bytes) reject(tooLong());
      else length += chunk.copy(body, length);
    });
    payload.once('end', () => resolve(body.subarray(0, length)));
    payload.once('error', (cause) => reject(Object.assign(new Error('the body broke off', { cause }), { statusCode: 400 })));
  });
}

/** Fails with LIMIT_EXCEEDED at the first byte too many, so that a body without a length cannot exceed the limit. */
function bounded(payload: Readable, bytes: number): Readable {
  let seen = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      if (seen > bytes) done(tooLong());
      else done(null, chunk);
    },
  });
  // A handler that has refused reads no further; a client that disconnects then must not end the process.
  counter.on('error', () => {});
  payload.on('error', (error) => counter.destroy(error));
  payload.on('close', () => {
    if (!payload.readableEnded) counter.destroy(new ModelGuardError('INVALID_ARGUMENT', 'The body ended too early'));
  });
  return payload.pipe(counter);
}

/**
 * Parses JSON in UTF-8, no deeper and with no more values than the contract needs.
 * @throws INVALID_ARGUMENT
 */
export function parseJson(body: Buffer): unknown {
  refuseShape(body);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    // The parser's own message quotes the body.
    throw notJson('is not JSON in UTF-8');
  }
  refusePoison(value);
  return value;
}

/** Checks before parsing: a million brackets are cheap to send and expensive to build. */
function refuseShape(body: Buffer): void {
  let depth = 0;
  let values = 0;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] as number;
    if (byte === QUOTE) at = endOfString(body, at);
    else if (OPENING.has(byte)) {
      depth++;
      if (depth > DEEPEST) throw notJson(`is nested more than ${DEEPEST} deep`);
    } else if (CLOSING.has(byte)) depth--;
    else if (byte === COMMA && ++values > MOST_VALUES) throw notJson(`holds more than ${MOST_VALUES} values`);
  }
}

function endOfString(body: Buffer, start: number): number {
  for (let at = body.indexOf(QUOTE, start + 1); at !== -1; at = body.indexOf(QUOTE, at + 1)) {
    let slashes = 0;
    while (body[at - 1 - slashes] === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return at;
  }
  return body.length;
}

/** Refuses members that would reach an object's prototype if they were copied. */
function refusePoison(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    if (name === '__proto__' || name === 'constructor' || name === 'prototype') throw notJson(`holds a member named ${name}`);
    refusePoison(member);
  }
}
