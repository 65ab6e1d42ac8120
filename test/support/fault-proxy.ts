/** A loopback proxy between a client and one HTTP server, which does wrong what a test's plan says. */
import { once } from 'node:events';
import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import {
  changedAnswer,
  changedBody,
  changedRequest,
  type Fault,
  type FaultOf,
  refusal,
  type Wait,
  withHeader,
} from './faults.js';
import { scaledTimers, type Timers } from './timers.js';

export type { Fault } from './faults.js';

export interface SeenRequest {
  /** From 0, in the order of arrival. */
  readonly index: number;
  /** How often the same has been asked for so far, this time included: method, range and URL, its signature aside. */
  readonly times: number;
  readonly method: string;
  /** For the proxy's address. */
  readonly url: URL;
  readonly headers: http.IncomingHttpHeaders;
}

export type Plan = (request: SeenRequest) => Fault | undefined;

export interface FaultProxy {
  /** What to use instead of the server's own address. Host goes on as it came, so URLs and requests are signed for this one. */
  readonly url: string;
  /** All requests so far, each with what was done to it. */
  readonly seen: readonly (SeenRequest & { readonly fault: Fault | undefined })[];
  /** How many requests have had a fault, or one of this kind. */
  faults(kind?: Fault['kind']): number;
  /** How many connections clients have open. */
  connections(): Promise<number>;
  /** Exchanges that wait for the server or for their client, and for no fault. */
  underWay(): number;
  /** Ends all connections. */
  close(): Promise<void>;
}

export async function startFaultProxy(target: string, plan: Plan, timers: Timers = scaledTimers(1)): Promise<FaultProxy> {
  const book = new Book(plan);
  const open = new Set<ServerResponse>();
  const held = new Set<ServerResponse>();
  const server = http.createServer((request, response) => {
    const { socket } = request;
    open.add(response);
    response.once('close', () => open.delete(response));
    const fault = book.enter(request, `http://${request.headers.host}`);
    exchange(new URL(target), { request, response, fault, wait: waiting(timers, response, held) }).catch(() => socket.destroy());
  });
  // Silence is for plans to make, and for clients to end.
  Object.assign(server, { requestTimeout: 0, headersTimeout: 0, timeout: 0, keepAliveTimeout: 60_000 });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen: book.seen,
    faults: (kind) => book.seen.filter(({ fault }) => fault && (kind === undefined || fault.kind === kind)).length,
    // A response that is given a socket which was closed meanwhile never says so.
    underWay: () => [...open].filter((response) => !held.has(response) && !response.req.socket?.destroyed).length,
    connections: () => promisify(server.getConnections.bind(server))(),
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Who asked for what, and what the plan says to it. */
class Book {
  readonly seen: (SeenRequest & { fault: Fault | undefined })[] = [];
  readonly #plan: Plan;
  readonly #times = new Map<string, number>();
  #burst: { readonly fault: FaultOf<'burst'>; left: number } | undefined;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  enter({ method = 'GET', url: path = '/', headers }: IncomingMessage, origin: string): Fault | undefined {
    const url = new URL(path, origin);
    const what = [method, headers.range, url.pathname, ...[...url.searchParams].filter(([name]) => !/^x-amz-/i.test(name))];
    const times = (this.#times.get(what.join('\n')) ?? 0) + 1;
    this.#times.set(what.join('\n'), times);
    const request = { index: this.seen.length, times, method, url, headers };
    const fault = this.#fault(request);
    this.seen.push({ ...request, fault });
    return fault;
  }

  #fault(request: SeenRequest): Fault | undefined {
    if (!this.#burst) {
      const fault = this.#plan(request);
      if (fault?.kind !== 'burst') return fault;
      this.#burst = { fault, left: fault.count };
    }
    const { fault } = this.#burst;
    this.#burst.left -= 1;
    if (this.#burst.left <= 0) this.#burst = undefined;
    return fault;
  }
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly fault: Fault | undefined;
  readonly wait: Wait;
}

async function exchange(target: URL, { request, response, fault, wait }: Exchange): Promise<void> {
  if (fault?.kind === 'reset' && fault.when !== 'answered') return reset(request);
  if (fault?.kind === 'burst') {
    const { status, headers, body } = refusal(fault);
    request.resume();
    response.writeHead(status, headers).end(body);
    return;
  }
  const upstream = http.request({
    ...{ host: target.hostname, port: target.port, method: request.method, path: request.url, agent: false },
    // A server that is told to close may do so before its early answer is read.
    headers: changedRequest(withHeader(request.rawHeaders, 'connection', 'keep-alive'), request.headers.range, fault),
  });
  // Without a length there is no body, whatever the method.
  upstream.useChunkedEncodingByDefault = request.headers['transfer-encoding'] !== undefined;
  upstream.on('error', () => undefined);
  // After an early answer the request has let go of its socket, and a piece of its body may still fail.
  upstream.on('socket', (socket) => socket.on('error', () => undefined));
  response.once('close', () => upstream.destroy());
  const answer = once(upstream, 'response') as Promise<[IncomingMessage]>;
  passOn(request, upstream, { fault, wait });
  const [message] = await answer;
  if (fault?.kind === 'reset') return reset(request);
  if (fault?.kind === 'delay' && fault.after === undefined) await wait(fault.ms);
  if (!response.destroyed) await passBack(message, response, { fault, wait });
}

function reset({ socket }: IncomingMessage): void {
  if (socket instanceof Socket) socket.resetAndDestroy();
}

/** The body of the request. A server that answers early is heard, and the rest of the body goes nowhere. */
function passOn(request: IncomingMessage, upstream: ClientRequest, { fault, wait }: Pick<Exchange, 'fault' | 'wait'>): void {
  // Where its body is not read to the end, a request forgets its socket.
  const { socket } = request;
  const change = changedBody('request', fault, wait);
  const body = change ? Readable.from(change(request)) : request;
  const cut = fault?.kind === 'cut' && fault.of === 'request';
  body.on('error', () => undefined);
  body.pipe(upstream, { end: !cut });
  if (cut) {
    body.once('end', () => {
      upstream.destroy();
      socket.destroy();
    });
  }
  upstream.once('close', () => {
    body.unpipe(upstream);
    body.resume();
  });
}

/** The answer. What is left of one that is cut short is not asked of the server. */
async function passBack(
  message: IncomingMessage,
  response: ServerResponse,
  { fault, wait }: Pick<Exchange, 'fault' | 'wait'>,
): Promise<void> {
  const { statusCode = 502, statusMessage, rawHeaders, headers } = message;
  const length = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
  const own = ['connection', 'keep-alive', 'transfer-encoding'].reduce<readonly string[]>(
    (kept, name) => withHeader(kept, name, undefined),
    rawHeaders,
  );
  response.writeHead(statusCode, statusMessage, changedAnswer(own, length, fault));
  response.flushHeaders();
  const change = changedBody('answer', fault, wait);
  const body = change ? Readable.from(change(message)) : message;
  if (fault?.kind === 'cut') {
    await pipeline(body, response, { end: false });
    response.socket?.destroySoon();
  } else {
    await pipeline(body, response);
  }
}

const waiting =
  (timers: Timers, response: ServerResponse, held: Set<ServerResponse>): Wait =>
  (ms) =>
    new Promise((resolve) => {
      held.add(response);
      const cancel = ms === 'never' ? () => undefined : timers.after(ms, over);
      function over(): void {
        cancel();
        held.delete(response);
        response.off('close', over);
        resolve();
      }
      response.once('close', over);
      if (response.destroyed) over();
    });
