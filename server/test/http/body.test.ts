/** Streams are bounded while they come. If these fail, a length that was not announced fills the disk. */
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { BODY_LIMIT, parseJson, registerBodies } from '../../src/http/body.js';
import { registerErrors } from '../../src/http/errors.js';

const LIMIT = 2048;

describe('a stream of octets', () => {
  let app: FastifyInstance;
  let port: number;
  let ended: Promise<string>;
  beforeAll(async () => {
    app = Fastify({ serverFactory: (handler) => createServer(handler) });
    registerErrors(app);
    registerBodies(app);
    app.put('/', { bodyLimit: LIMIT, config: { contract: 'putPart' } }, async ({ body }) => {
      const read = text(body as Readable);
      ended = read.then(
        () => 'read',
        (error: { code?: string }) => error.code ?? 'unknown',
      );
      return { bytes: (await read).length };
    });
    await app.listen({ host: '127.0.0.1', port: 0 });
    port = (app.server.address() as AddressInfo).port;
  });
  afterAll(() => app.close());

  const upload = (bytes: number, headers: Record<string, string | number> = {}) => {
    const sent = request({ port, method: 'PUT', headers: { 'content-type': 'application/octet-stream', ...headers } });
    const status = new Promise<number | undefined>((resolve, reject) => {
      sent.on('response', (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      sent.on('error', (error: NodeJS.ErrnoException) => ['EPIPE', 'ECONNRESET'].includes(error.code ?? '') || reject(error));
    });
    sent.write(Buffer.alloc(bytes, 'x'));
    return { sent, status };
  };

  it('up to the limit is read', async () => {
    const { sent, status } = upload(LIMIT);
    sent.end();
    expect(await status).toBe(200);
  });

  it('of no announced length ends at the first byte too many: 413, without waiting for the rest', async () => {
    const { sent, status } = upload(LIMIT + 1);
    expect(await status).toBe(413);
    expect(await ended).toBe('LIMIT_EXCEEDED');
    sent.destroy();
  });

  it('that announces too much is not read at all: 413', async () => {
    const { sent, status } = upload(1, { 'content-length': LIMIT + 1 });
    expect(await status).toBe(413);
    sent.destroy();
  });

  it('that breaks off is an error of the reader, not its end', async () => {
    const before = ended;
    const { sent, status } = upload(10, { 'content-length': 20 });
    status.catch(() => undefined);
    await expect.poll(() => ended).not.toBe(before);
    sent.destroy();
    expect(await ended).not.toBe('read');
  });
});

describe('JSON', () => {
  it('of very many values is refused before it is built', () => {
    const parse = (text: string) => () => parseJson(Buffer.from(text));
    const elements = (count: number, element: string) => `[${Array.from({ length: count }, () => element).join(',')}]`;
    expect(parse(elements(1001, '[]'))()).toHaveLength(1001);
    expect(parse(elements(1002, '[]'))).toThrow(/more than 1000 values/);
    expect(parse(`{${elements(1002, '"a":1').slice(1, -1)}}`)).toThrow(/more than 1000 values/);
    expect(parse(JSON.stringify(','.repeat(5000)))()).toHaveLength(5000);
  });

  describe('that drips', () => {
    let app: FastifyInstance;
    let arrived: () => void;
    beforeAll(async () => {
      app = Fastify({ serverFactory: (handler) => createServer(handler), bodyLimit: BODY_LIMIT, forceCloseConnections: true });
      registerErrors(app);
      registerBodies(app);
      app.addHook('preParsing', async () => arrived());
      app.post('/small', { config: { contract: 'token' } }, async () => ({}));
      app.put('/large', { bodyLimit: 4 * 2 ** 20, config: { contract: 'publishVersion' } }, async () => ({}));
      await app.listen({ host: '127.0.0.1', port: 0 });
    });
    afterAll(() => app.close());
    afterEach(() => void vi.useRealTimers());

    /** Sends the head of a request and a byte of its body; resolves when the connection ends. */
    const drip = (method: string, path: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
        const head = [`${method} ${path} HTTP/1.1`, 'host: a', 'content-type: application/json', 'content-length: 100', '', '{'];
        socket.write(head.join('\r\n'));
        socket.on('error', (error: NodeJS.ErrnoException) => error.code === 'ECONNRESET' || reject(error));
        socket.on('close', () => resolve());
        socket.resume();
      });

    it.each([
      ['POST', '/small'],
      ['PUT', '/large'],
    ])('is not waited for: %s %s', async (method, path) => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      let over = false;
      const begun = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const ended = drip(method, path).then(() => {
        over = true;
      });
      await begun;
      await new Promise(setImmediate);
      vi.advanceTimersByTime(29_999);
      await new Promise(setImmediate);
      expect(over).toBe(false);
      vi.advanceTimersByTime(1);
      await ended;
    });

    it('is read to its end while it brings enough, however long that takes', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const begun = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const { port } = app.server.address() as AddressInfo;
      const body = JSON.stringify(' '.repeat(2.5 * 2 ** 20));
      const sent = request({
        port,
        method: 'PUT',
        path: '/large',
        headers: { 'content-type': 'application/json', 'content-length': body.length },
      });
      const answered = once(sent, 'response');
      const server = new Promise<Socket>((resolve) => app.server.once('connection', resolve));
      sent.flushHeaders();
      await begun;
      const { bytesRead: head } = await server;
      for (let at = 0; at < body.length; at += 2 ** 20) {
        sent.write(body.slice(at, at + 2 ** 20));
        const wanted = head + Math.min(body.length, at + 2 ** 20);
        while ((await server).bytesRead < wanted) await new Promise(setImmediate);
        vi.advanceTimersByTime(30_000);
      }
      sent.end();
      const [{ statusCode }] = await answered;
      expect(statusCode).toBe(200);
    });

    it('is answered where it comes in time, and nothing waits for it any more', async () => {
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      let waiting = 0;
      arrived = () => {
        waiting = vi.getTimerCount();
      };
      const sent = { method: 'POST', url: '/small', headers: { 'content-type': 'application/json' }, payload: '{}' } as const;
      expect((await app.inject(sent)).statusCode).toBe(200);
      expect(vi.getTimerCount()).toBe(waiting - 1);
    });
  });
});
