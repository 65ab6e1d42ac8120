/** Streams are bounded while they come. If these fail, a length that was not announced fills the disk. */
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { registerBodies } from '../../src/http/body.js';
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
    app.put('/', { bodyLimit: LIMIT, config: { contract: 'putTree' } }, async ({ body }) => {
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
