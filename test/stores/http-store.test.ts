/** Loading from a plain web server. What fails here takes a page for a model, or tells a secret header. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { fileStore, httpStore, load, MasterKey, type PartStore, protect } from '../../src/index.js';
import { httpStoreWithHooks } from '../../src/stores/http.js';
import { codeOf, failureOf } from '../support/failures.js';
import { NotedPace } from '../support/fake-client.js';
import { temporaryFolder } from '../support/temp.js';

const folder = temporaryFolder('http-store');
const files = new Map<string, Buffer>();
const asked: IncomingMessage[] = [];
/** Answers instead, where it returns true. */
let hook: (request: IncomingMessage, response: ServerResponse) => boolean = () => false;
const server = createServer((request, response) => {
  asked.push(request);
  if (hook(request, response)) return;
  const file = files.get(request.url ?? '');
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (!file) response.writeHead(404).end('<html>');
  else if (from === undefined) response.end(file);
  else {
    const body = file.subarray(Number(from), Number(to) + 1);
    response.writeHead(206, { 'content-range': `bytes ${from}-${to}/${file.length}`, 'content-length': body.length }).end(body);
  }
});
let url = '';
const ref = { name: 'net', version: '1' };
const key = MasterKey.generate();
const plain = randomBytes(9_000_000);
let big = '';
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/`;
  const source = path.join(folder, 'model');
  writeFileSync(source, plain);
  const store = fileStore(path.join(folder, 'store'));
  const { payloadId } = await protect(source, { ...ref, recipients: [key], to: store });
  files.set('/models/small/net/1', Buffer.from(await store.getSmall(ref)));
  for (const name of readdirSync(path.join(folder, 'store/big')))
    files.set(`/models/big/${name}`, readFileSync(path.join(folder, 'store/big', name)));
  big =
    [...files.keys()]
      .find((name) => name.includes(payloadId) && !name.endsWith('.tree'))
      ?.split('/')
      .at(-1) ?? '';
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
afterEach(() => {
  hook = () => false;
  asked.length = 0;
});
const SECRET = 'Bearer of a secret';
const store = (more = {}): PartStore =>
  httpStoreWithHooks(url, { headers: { authorization: SECRET }, ...more }, { pace: new NotedPace() });
const whole = (response: ServerResponse, status: number): true => {
  response.writeHead(status).end('<html>');
  return true;
};

it('loads what another store wrote, with its headers on every request', async () => {
  const model = await load('net@1', { from: store(), identities: [key], unsigned: 'accept', cache: false });
  expect(Buffer.compare(model.bytes, plain)).toBe(0);
  model.dispose();
  expect(asked.length).toBeGreaterThan(3);
  expect(asked.every(({ headers }) => headers.authorization === SECRET)).toBe(true);
  const part = await store().openBig(ref, big);
  expect(Buffer.compare((await part.tree()) ?? Buffer.of(), files.get(`/models/big/${big}.tree`) ?? Buffer.of(1))).toBe(0);
  await part.close();
});

describe('a web server that', () => {
  it.each<[number, string, number]>([
    [404, 'NOT_FOUND', 1],
    [410, 'NOT_FOUND', 1],
    [401, 'PERMISSION_DENIED', 1],
    [403, 'PERMISSION_DENIED', 1],
    [301, 'RESPONSE_INVALID', 1],
    [302, 'RESPONSE_INVALID', 4],
    [307, 'RESPONSE_INVALID', 4],
    [407, 'SERVER_FAILED', 4],
    [408, 'SERVER_FAILED', 4],
    [421, 'SERVER_FAILED', 4],
    [511, 'SERVER_FAILED', 4],
    [400, 'RESPONSE_INVALID', 1],
    [206, 'RESPONSE_INVALID', 1],
    [429, 'SERVER_FAILED', 4],
    [503, 'SERVER_FAILED', 4],
  ])('answers with %i says %s, after %i attempts', async (status, code, attempts) => {
    hook = (_, response) => whole(response, status);
    const failure = await failureOf(() => store().getSmall(ref));
    expect([failure.code, asked.length]).toEqual([code, attempts]);
    expect(inspect(failure, { depth: 10 })).not.toContain(SECRET);
  });

  it.each<[string, number, Record<string, string>]>([
    ['a log-in page', 200, {}],
    ['a log-in page, compressed', 200, { 'content-encoding': 'gzip' }],
    ['a redirect to one', 302, { location: 'https://login.example.com/' }],
  ])('is hidden by %s is asked again, for each part', async (_, status, headers) => {
    // The first request for each part, its size, its ranges and its tree.
    const met = new Set<string>();
    hook = ({ url = '', headers: { range = '' } }, response) => {
      const request = `${url} ${range}`;
      if (met.has(request)) return false;
      met.add(request);
      response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', ...headers }).end(' <!doctype html>');
      return true;
    };
    const model = await load('net@1', { from: store(), identities: [key], unsigned: 'accept', cache: false });
    expect(Buffer.compare(model.bytes, plain)).toBe(0);
    model.dispose();
    expect(met.size).toBeGreaterThan(2);
  });

  it('calls a part a page serves it all the same: its bytes decide', async () => {
    hook = (_, response) => {
      response.setHeader('content-type', 'text/html');
      return false;
    };
    const model = await load('net@1', { from: store(), identities: [key], unsigned: 'accept', cache: false });
    expect(Buffer.compare(model.bytes, plain)).toBe(0);
    model.dispose();
  });

  it('knows no ranges is refused, and so is one that gives other bytes', async () => {
    hook = (_, response) => whole(response, 200);
    const failure = await failureOf(() => store().openBig(ref, big));
    expect(failure.code).toBe('RESPONSE_INVALID');
    expect(failure.message).toMatch(/ranges/);
    hook = () => false;
    const part = await store().openBig(ref, big);
    hook = (_, response) => whole(response, 200);
    expect(await codeOf(async () => part.read(0, 100))).toBe('RESPONSE_INVALID');
    await part.close();
  });

  it('is several mirrors, each with entity tags of its own, is asked for nothing twice', async () => {
    hook = (_, response) => {
      response.setHeader('etag', `"${asked.length}"`);
      return false;
    };
    // Requests of a part that an earlier test has closed may still come in.
    const from = store({ headers: { 'x-test': 'mirrors' } });
    const model = await load('net@1', { from, identities: [key], unsigned: 'accept', cache: false });
    expect(Buffer.compare(model.bytes, plain)).toBe(0);
    model.dispose();
    const ranges = asked.flatMap(({ headers }) => (headers['x-test'] === 'mirrors' && headers.range) || []);
    expect(ranges.length).toBeGreaterThan(2);
    expect(new Set(ranges).size).toBe(ranges.length);
  });

  it('does not tell the length with a range is asked for it', async () => {
    hook = ({ method, url, headers: { range } }, response) => {
      const bytes = files.get(url ?? '') ?? Buffer.of();
      if (method === 'HEAD') response.writeHead(200, { 'content-length': bytes.length }).end();
      else if (range === undefined) return false;
      else {
        const [first = 0, last = 0] = range.slice('bytes='.length).split('-').map(Number);
        response.writeHead(206, { 'content-range': `bytes ${first}-${last}/*` }).end(bytes.subarray(first, last + 1));
      }
      return true;
    };
    const part = await store().openBig(ref, big);
    const stored = files.get(`/models/big/${big}`) ?? Buffer.of();
    expect(part.size).toBe(stored.length);
    expect(Buffer.concat([await part.read(1, 9)].flat())).toEqual(stored.subarray(1, 10));
    await part.close();
    hook = ({ method }, response) => {
      if (method === 'HEAD') response.writeHead(200).end();
      else response.writeHead(206, { 'content-range': 'bytes 0-0/*' }).end('x');
      return true;
    };
    expect(await codeOf(() => store().openBig(ref, big))).toBe('RESPONSE_INVALID');
  });

  it('serves a small part without end is not read to it', async () => {
    hook = (_, response) => {
      response.writeHead(200, { 'content-length': String(18 * 2 ** 20) });
      return response.write('x') || true;
    };
    expect(await codeOf(() => store().getSmall(ref))).toBe('RESPONSE_INVALID');
  });
});

it('writes nothing and lists nothing', async () => {
  const one = store();
  expect(await codeOf(() => one.putSmall(ref, Uint8Array.of(1)))).toBe('READ_ONLY');
  const source = { size: 1, stream: async function* () {}, tree: () => Uint8Array.of() };
  expect(await codeOf(() => one.putBig(ref, big, source))).toBe('READ_ONLY');
  expect(await codeOf(() => one.collect())).toBe('READ_ONLY');
  expect(
    await codeOf(async () => {
      for await (const _ of one.list());
    }),
  ).toBe('INVALID_ARGUMENT');
  expect(asked).toEqual([]);
});

it.each<[string, unknown]>([
  ['http://192.0.2.1/', undefined],
  ['https://user:word@example.org/', undefined],
  ['https://example.org/?a=b', undefined],
  ['not a url', undefined],
  ['https://example.org/', { headers: { 'x y': 'z' } }],
  ['https://example.org/', { headers: { x: 'a\r\nb: c' } }],
  ['https://example.org/', { header: {} }],
])('refuses %j with %j', async (where, options) => {
  expect(await codeOf(async () => httpStore(where, options as never))).toBe('INVALID_ARGUMENT');
});

it.each(['../x', 'A', 'a/b', ''])('asks for nothing that is called %j', async (bad) => {
  expect(await codeOf(() => store().getSmall({ name: bad, version: '1' }))).toBe('NAME_INVALID');
  expect(await codeOf(() => store().openBig(ref, bad))).toBe('INVALID_ARGUMENT');
  expect(asked).toEqual([]);
});
