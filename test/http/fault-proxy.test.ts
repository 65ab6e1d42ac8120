/** The fault proxy does what its plan says, and nothing where the plan says nothing. */
import { EventEmitter, once } from 'node:events';
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Fault, type FaultProxy, type Plan, startFaultProxy } from '../support/fault-proxy.js';
import { scaledTimers, type Timers } from '../support/timers.js';

const OBJECT = Buffer.from(Uint8Array.from({ length: 200_000 }, (_, at) => at % 251));
const SIZE = OBJECT.length;
const ETAG = '"the-right-one"';
/** What the server has got in full. */
let asked: { method: string | undefined; headers: IncomingHttpHeaders; body: Buffer }[] = [];

/** One object, with ranges. What is put is answered with 200, or at /refused with 403 before its body is read. */
const server = http.createServer(async (request, response) => {
  const { method, headers } = request;
  if (request.url === '/refused') return request.resume() && response.writeHead(403).end('no');
  const body = await received(request);
  if (!body.complete) return response.destroy();
  asked.push({ method, headers, body: body.bytes });
  if (method !== 'GET') return response.end();
  const [, from, to] = /^bytes=([0-9]+)-([0-9]+)$/.exec(headers.range ?? '') ?? [];
  const whole = from === undefined || to === undefined;
  const bytes = whole ? OBJECT : OBJECT.subarray(Number(from), Number(to) + 1);
  const range = whole ? {} : { 'content-range': `bytes ${from}-${to}/${SIZE}` };
  return response.writeHead(whole ? 200 : 206, { etag: ETAG, 'content-length': bytes.length, ...range }).end(bytes);
});

async function received(message: IncomingMessage): Promise<{ bytes: Buffer; complete: boolean }> {
  const pieces: Buffer[] = [];
  try {
    for await (const piece of message) pieces.push(piece);
  } catch {
    // Told by `complete`.
  }
  return { bytes: Buffer.concat(pieces), complete: message.complete };
}

/** Time that passes only when the test says so. */
class StandingTime extends EventEmitter implements Timers {
  #now = 0;
  readonly #due = new Set<{ at: number; run: () => void }>();

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const one = { at: this.#now + ms, run };
    this.#due.add(one);
    this.emit('waiting');
    return () => this.#due.delete(one);
  }

  get waiting(): number {
    return this.#due.size;
  }

  pass(ms: number): void {
    this.#now += ms;
    for (const one of [...this.#due].filter(({ at }) => at <= this.#now)) one.run();
  }
}

const agent = new http.Agent({ keepAlive: true });
let origin = '';
let time: StandingTime;
let proxy: FaultProxy | undefined;

beforeAll(async () => {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  agent.destroy();
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
});
beforeEach(() => {
  asked = [];
  time = new StandingTime();
});
afterEach(() => proxy?.close());

async function started(plan: Plan, timers: Timers = time): Promise<FaultProxy> {
  proxy = await startFaultProxy(origin, plan, timers);
  return proxy;
}
const always = (fault: Fault): Promise<FaultProxy> => started(() => fault);

interface Question {
  readonly path?: string;
  readonly range?: string;
  readonly put?: Buffer;
}

function sent({ path = '/object', range, put }: Question = {}): http.ClientRequest {
  const headers = { ...(range !== undefined && { range }), ...(put && { 'content-length': put.length }) };
  const request = http.request(`${proxy?.url}${path}`, { method: put ? 'PUT' : 'GET', headers, agent });
  // After its answer a request may still be going out when the proxy ends.
  // After an early answer the request has let go of its socket, and a piece of its body may still fail.
  request.once('socket', (socket) => socket.on('error', () => undefined));
  return request.on('error', () => undefined).end(put);
}

async function ask(
  question?: Question,
): Promise<{ status: number | undefined; headers: IncomingHttpHeaders; bytes: Buffer; complete: boolean }> {
  const [message] = (await once(sent(question), 'response')) as [IncomingMessage];
  const { statusCode: status, headers } = message;
  return { status, headers, ...(await received(message)) };
}

describe('without a fault', () => {
  it('passes on requests and answers, with the Host that was signed', async () => {
    const { url } = await started(() => undefined);
    const answer = await ask({ range: 'bytes=10-19' });
    expect(answer).toMatchObject({ status: 206, bytes: OBJECT.subarray(10, 20), complete: true });
    expect(answer.headers).toMatchObject({ etag: ETAG, 'content-range': `bytes 10-19/${SIZE}`, 'content-length': '10' });
    expect((await ask({ put: OBJECT })).status).toBe(200);
    expect(asked.map(({ method, body }) => [method, body.length])).toEqual([
      ['GET', 0],
      ['PUT', SIZE],
    ]);
    expect(asked[1]?.body.equals(OBJECT)).toBe(true);
    expect(asked.map(({ headers }) => `http://${headers.host}`)).toEqual([url, url]);
  });

  it('passes on an answer that comes before the body was read', async () => {
    await started(() => undefined);
    expect((await ask({ path: '/refused', put: Buffer.alloc(2 ** 24) })).status).toBe(403);
  });

  it('tells the plan how often the same was asked, whatever its signature', async () => {
    const { seen, faults } = await started(({ times }) => (times === 1 ? { kind: 'etag' } : undefined));
    for (const path of ['/object?X-Amz-Signature=1', '/object?X-Amz-Signature=2', '/object?partNumber=1']) await ask({ path });
    await ask({ path: '/object', range: 'bytes=0-1' });
    expect(seen.map(({ index, times, fault }) => [index, times, fault?.kind])).toEqual([
      [0, 1, 'etag'],
      [1, 2, undefined],
      [2, 1, 'etag'],
      [3, 1, 'etag'],
    ]);
    expect([faults(), faults('etag'), faults('cut')]).toEqual([3, 3, 0]);
  });
});

describe('delay', () => {
  it('holds the answer back for a time of the clock', async () => {
    await always({ kind: 'delay', ms: 5_000 });
    const waiting = once(time, 'waiting');
    const order: string[] = [];
    const answer = ask().then(() => order.push('answered'));
    await waiting;
    expect(asked).toHaveLength(1);
    time.pass(4_999);
    expect(time.waiting).toBe(1);
    order.push('passed');
    time.pass(1);
    await answer;
    expect(order).toEqual(['passed', 'answered']);
  });

  it('stops in the middle of a body, for good', async () => {
    await always({ kind: 'delay', ms: 'never', after: 70_000 });
    const request = sent();
    const [message] = (await once(request, 'response')) as [IncomingMessage];
    let got = 0;
    while (got < 70_000) got += ((await once(message, 'data')) as [Buffer])[0].length;
    expect(got).toBe(70_000);
    message.on('error', () => undefined);
    request.destroy();
  });

  it('goes on with the body afterwards', async () => {
    await always({ kind: 'delay', ms: 100, after: 70_000 });
    time.on('waiting', () => setImmediate(() => time.pass(100)));
    expect((await ask()).bytes.equals(OBJECT)).toBe(true);
    expect(time.now()).toBe(100);
  });
});

describe('broken connections', () => {
  it.each([0, 1, 70_000])('cut ends an answer after %i bytes of the announced length', async (after) => {
    await always({ kind: 'cut', after });
    const { status, headers, bytes, complete } = await ask();
    expect([status, headers['content-length'], bytes.length, complete]).toEqual([200, String(SIZE), after, false]);
    expect(bytes.equals(OBJECT.subarray(0, after))).toBe(true);
  });

  it('cut ends a request, which the server then never got', async () => {
    await always({ kind: 'cut', after: 70_000, of: 'request' });
    await expect(ask({ put: OBJECT })).rejects.toThrow(/ECONNRESET|EPIPE|socket hang up/);
    expect(asked).toEqual([]);
  });

  it('reset says nothing: at once, or when the server has done it', async () => {
    await started(({ index }) => ({ kind: 'reset', when: index === 0 ? 'asked' : 'answered' }));
    await expect(ask({ put: OBJECT })).rejects.toThrow(/ECONNRESET|EPIPE/);
    expect(asked).toHaveLength(0);
    await expect(ask({ put: OBJECT })).rejects.toThrow(/ECONNRESET|EPIPE/);
    expect(asked).toHaveLength(1);
  });
});

describe('refusals', () => {
  it('burst refuses as many as it says, as S3 does', async () => {
    await started(({ index }) => (index === 0 ? { kind: 'burst', count: 2, retryAfter: 7 } : undefined));
    const answers = [await ask({ put: OBJECT }), await ask(), await ask()];
    expect(answers.map(({ status, headers }) => [status, headers['retry-after']])).toEqual([
      [503, '7'],
      [503, '7'],
      [200, undefined],
    ]);
    expect(answers[0]?.bytes.toString()).toMatch(/^<\?xml .*<Error><Code>SlowDown<\/Code>/s);
    expect(asked).toHaveLength(1);
  });

  it('burst says 500 too', async () => {
    await always({ kind: 'burst', count: 1, status: 500 });
    const { status, bytes } = await ask();
    expect([status, bytes.toString()]).toEqual([500, expect.stringContaining('<Code>InternalError</Code>')]);
  });
});

describe('wrong answers', () => {
  const range = 'bytes=100-199';

  it('truncate is short and well-formed', async () => {
    await always({ kind: 'truncate', to: 30 });
    const { status, headers, bytes, complete } = await ask({ range });
    expect([status, headers['content-length'], bytes.length, complete]).toEqual([206, '30', 30, true]);
    expect(headers['content-range']).toBe(`bytes 100-199/${SIZE}`);
  });

  it('corrupt flips one bit, of an answer or of a request', async () => {
    const flipped = Buffer.from(OBJECT);
    flipped.writeUInt8((OBJECT[150_000] ?? 0) ^ 1, 150_000);
    await started(({ method }) => ({ kind: 'corrupt', at: 150_000, of: method === 'PUT' ? 'request' : 'answer' }));
    expect((await ask()).bytes.equals(flipped)).toBe(true);
    await ask({ put: OBJECT });
    expect(asked[1]?.body.equals(flipped)).toBe(true);
  });

  it('wrongRange shifts the range, bytes and label alike', async () => {
    await always({ kind: 'wrongRange', shift: 50 });
    const { status, headers, bytes } = await ask({ range });
    expect([status, headers['content-range']]).toEqual([206, `bytes 150-249/${SIZE}`]);
    expect(bytes.equals(OBJECT.subarray(150, 250))).toBe(true);
  });

  it('wrongRange answers with all there is', async () => {
    await always({ kind: 'wrongRange', answer: 'whole' });
    const { status, headers, bytes } = await ask({ range });
    expect([status, headers['content-range'], bytes.length]).toEqual([200, undefined, SIZE]);
  });

  it('wrongRange leaves out the label', async () => {
    await always({ kind: 'wrongRange', answer: 'unlabelled' });
    const { status, headers, bytes } = await ask({ range });
    expect([status, headers['content-range']]).toEqual([206, undefined]);
    expect(bytes.equals(OBJECT.subarray(100, 200))).toBe(true);
  });

  it('etag is another', async () => {
    await started(({ index }) => (index === 0 ? { kind: 'etag' } : { kind: 'etag', value: '"mine"' }));
    const etags = [(await ask()).headers.etag, (await ask()).headers.etag];
    expect(etags).toEqual(['"00000000000000000000000000000000"', '"mine"']);
  });

  it('trickle takes the time of the clock for every few bytes', async () => {
    await always({ kind: 'trickle', bytes: 30, everyMs: 1_000 });
    time.on('waiting', () => setImmediate(() => time.pass(1_000)));
    expect((await ask({ range })).bytes.equals(OBJECT.subarray(100, 200))).toBe(true);
    expect(time.now()).toBe(4_000);
  });
});

it('lets go of a client that waits for ever, when it is closed', async () => {
  const { close } = await always({ kind: 'delay', ms: 'never' });
  const failed = expect(ask()).rejects.toThrow(/ECONNRESET|socket hang up/);
  await once(server, 'request');
  await close();
  proxy = undefined;
  await failed;
});

it('has a clock that runs faster than the real one', async () => {
  const timers = scaledTimers(1_000_000);
  await new Promise<void>((resolve) => void timers.after(1_000, resolve));
  expect(timers.now()).toBeGreaterThanOrEqual(1_000);
  const cancel = timers.after(1_000, () => expect.unreachable('it was called off'));
  cancel();
});
