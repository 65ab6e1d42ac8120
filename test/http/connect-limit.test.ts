/** The limit of a new connection. If it fails, an address that takes no connections holds a request as long as a slow answer. */
import { createServer as createHttp } from 'node:http';
import { type AddressInfo, createServer as createTcp, type Server } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { Transport } from '../../src/http/transport.js';
import { failureOf } from '../support/failures.js';

const CONNECT_MS = 50;

/** Timers that run when a test says so. */
class Pending {
  readonly tasks = new Map<number, () => void>();
  readonly now = (): number => 0;
  readonly after = (milliseconds: number, task: () => void): (() => void) => {
    this.tasks.set(milliseconds, task);
    return () => this.tasks.delete(milliseconds);
  };
}

async function listen(server: Server, scheme: string): Promise<URL> {
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return new URL(`${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}
function transportWith(timers: Pending): Transport {
  const transport = new Transport({ origin: '', timeoutMs: 1000, connectMs: CONNECT_MS, timers, proxy: false });
  onTestFinished(() => transport.close());
  return transport;
}

it('ends a connection whose handshake does not end', async () => {
  const timers = new Pending();
  const silent = createTcp((socket) => {
    socket.on('error', () => undefined);
    timers.tasks.get(CONNECT_MS)?.();
  });
  onTestFinished(() => void silent.close());
  const url = await listen(silent, 'https');
  const failure = await failureOf(() => transportWith(timers).send({ method: 'GET', url }));
  expect(failure).toMatchObject({ code: 'TIMED_OUT' });
  expect(failure.message).toContain(`within ${CONNECT_MS} ms`);
  expect(timers.tasks.size).toBe(0);
});

it('does not limit the answer of a connection that stands', async () => {
  const timers = new Pending();
  const limited: boolean[] = [];
  const server = createHttp((_, response) => {
    limited.push(timers.tasks.has(CONNECT_MS));
    response.end('x');
  });
  onTestFinished(() => void server.close());
  const url = await listen(server, 'http');
  const transport = transportWith(timers);
  for (let round = 0; round < 2; round++)
    expect(Buffer.from(await (await transport.send({ method: 'GET', url })).bytes(10)).toString()).toBe('x');
  // The second one takes up the connection of the first.
  expect(limited).toEqual([false, false]);
  expect(timers.tasks.size).toBe(0);
});
