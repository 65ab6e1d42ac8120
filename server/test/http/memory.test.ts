/** Memory of requests, over real connections. If these fail, bodies that are held back or answers that are not read fill the memory of the server. */
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { SigningKey } from '@org/model-guard';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Transport } from '../../../src/http/transport.js';
import { Client } from '../../../src/remote/http/client.js';
import { BODY_LIMIT, registerBodies } from '../../src/http/body.js';
import { registerErrors } from '../../src/http/errors.js';
import { registerMemory } from '../../src/http/memory.js';

const MIB = 2 ** 20;
/** 96 MiB are for large bodies, 32 of them for each account; 32 for short ones, 8 of them for each network. */
const BUDGET = 128 * MIB;
const LARGEST = 24 * MIB;

let app: FastifyInstance;
let port: number;
let held: () => number;
/** Requests of this test's server that have come, and that its handlers have begun. */
let count: { arrived: number; handled: number };
const sockets = new Set<Socket>();
const version = {
  ...{ name: 'm', version: '1', ordinal: 1, state: 'pending', format: 'gguf', created: 1, smallBytes: 1, bigBytes: 1 },
  ...{ payloadId: '0'.repeat(32), publishedBy: '0'.repeat(32), bigName: `${'0'.repeat(32)}-0`, digest: '0'.repeat(64) },
  publisher: SigningKey.generate().publicKey.toString(),
};

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const own = { arrived: 0, handled: 0 };
  count = own;
  app = Fastify({ serverFactory: (handler) => createServer(handler), bodyLimit: BODY_LIMIT, forceCloseConnections: true });
  registerErrors(app);
  registerBodies(app);
  app.decorateRequest('caller');
  app.addHook('onRequest', async (request) => {
    const { account: id } = request.headers;
    const account = typeof id === 'string' ? ({ id, subject: id, role: 'operator' } as const) : undefined;
    request.caller = { address: '', request: request.id, account };
    own.arrived++;
  });
  ({ held } = registerMemory(app, { bodyMemory: BUDGET }));
  app.put('/models/m/versions/1', { bodyLimit: LARGEST, config: { contract: 'publishVersion' } }, async (_request, reply) =>
    reply.code(201).send(version),
  );
  app.put('/part', { bodyLimit: 2 ** 40, config: { contract: 'putPart' } }, () => new Promise(() => undefined));
  app.post('/token', { config: { contract: 'token' } }, async () => ({}));
  app.post('/lease', { config: { contract: 'takeLease' } }, async () => {
    own.handled++;
    return 'x'.repeat(20 * MIB);
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  ({ port } = app.server.address() as AddressInfo);
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await app.close();
  vi.useRealTimers();
});

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}
/** Resolves once the server has done everything that waits for nothing more. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}

interface Sent {
  readonly account?: string;
  readonly from?: string;
  readonly type?: string;
}
/** Sends the head of a request and a byte of its body. */
function hold(method: string, path: string, length: number, { account, from, type = 'application/json' }: Sent = {}) {
  const socket = connect({ port, host: '127.0.0.1', ...(from && { localAddress: from }) });
  sockets.add(socket);
  const answer = { text: '' };
  socket
    .on('error', () => undefined)
    .on('data', (data) => {
      answer.text += data.toString('latin1', 0, 400);
    });
  const headers = ['host: a', `content-type: ${type}`, `content-length: ${length}`, ...(account ? [`account: ${account}`] : [])];
  socket.write([`${method} ${path} HTTP/1.1`, ...headers, '', '{'].join('\r\n'));
  return { socket, answer };
}
const publish = (account: string) => hold('PUT', '/models/m/versions/1', LARGEST, { account });

describe('bodies that are on their way', () => {
  it('of one account: sixty of 24 MiB take its share and no more; the rest get RATE_LIMITED for five seconds', async () => {
    const sent = Array.from({ length: 60 }, () => publish('a'));
    await until(() => count.arrived === 60);
    await settled();
    expect(held()).toBe(LARGEST);
    vi.advanceTimersByTime(5000);
    await until(() => sent.filter(({ answer }) => answer.text !== '').length === 59);
    for (const { answer } of sent)
      if (answer.text !== '') expect(answer.text).toMatch(/^HTTP\/1.1 429 .*\r\nretry-after: 5\r\n.*RATE_LIMITED/s);
    expect(held()).toBe(LARGEST);
    for (const { socket } of sent) socket.destroy();
    await until(() => held() === 0);
  });

  it('of many accounts stay within the total, and log-ins go on', async () => {
    for (let account = 0; account < 10; account++) publish(`account ${account}`);
    await until(() => count.arrived === 10);
    await settled();
    expect(held()).toBe(96 * MIB);
    const login = hold('POST', '/token', 2);
    login.socket.write('}');
    await until(() => login.answer.text.includes('HTTP/1.1 200'));
  });

  it('before log-in: one network has a share, another network has its own', async () => {
    const sent = Array.from({ length: 130 }, () => hold('POST', '/token', BODY_LIMIT));
    await until(() => count.arrived === 130);
    vi.advanceTimersByTime(1);
    await until(() => sent.filter(({ answer }) => answer.text.includes(' 429 ')).length === 2);
    expect(held()).toBe(8 * MIB);
    const other = hold('POST', '/token', 2, { from: '127.0.0.2' });
    other.socket.write('}');
    await until(() => other.answer.text.includes('HTTP/1.1 200'));
  });

  it('as streams count as what is held of them, whatever they announce', async () => {
    hold('PUT', '/part', 2 ** 39, { account: 'a', type: 'application/octet-stream' });
    await until(() => held() > 0);
    expect(held()).toBe(BODY_LIMIT);
  });

  it('of no announced length count as the longest that their route takes', async () => {
    const socket = connect(port, '127.0.0.1');
    sockets.add(socket);
    const headers = ['host: a', 'content-type: application/json', 'transfer-encoding: chunked', 'account: a'];
    socket.write(['PUT /models/m/versions/1 HTTP/1.1', ...headers, '', '1', '{', ''].join('\r\n'));
    await until(() => held() > 0);
    expect(held()).toBe(LARGEST);
  });
});

it('a client that publishes while there is no room comes back, and gets through', async () => {
  const { socket } = publish('a');
  await until(() => held() === LARGEST);
  const transport = new Transport({ origin: '', timeoutMs: 30_000 });
  const waits: number[] = [];
  const sleep = async (milliseconds: number): Promise<void> => {
    waits.push(milliseconds);
    socket.destroy();
    await until(() => held() === 0);
  };
  const prove = async (): Promise<void> => undefined;
  const client = new Client({ base: new URL(`http://127.0.0.1:${port}`), transport, prove, pace: { sleep, random: () => 0 } });
  const request = { params: { name: 'm', version: '1' }, body: { small: 'A'.repeat(20 * MIB), overwrite: false } };
  const published = client.call('publishVersion', request, { headers: { account: 'a' } });
  await until(() => count.arrived === 2);
  await settled();
  vi.advanceTimersByTime(5000);
  expect(await published).toEqual(version);
  // The pause that the server wants, and half of the client's own first one, with the least chance.
  expect(waits).toEqual([5000 + 100]);
  transport.close();
});

describe('answers', () => {
  const ask = (account: string) => {
    const sent = hold('POST', '/lease', 2, { account });
    sent.socket.pause();
    sent.socket.write('}');
    return sent;
  };

  it('that are not read are held, and no more are made for that account than its share has room for', async () => {
    const first = ask('a');
    await until(() => count.handled === 1 && held() === 20 * MIB + 2);
    for (let number = 0; number < 9; number++) ask('a');
    await until(() => count.arrived === 10);
    await settled();
    expect(count.handled).toBe(1);
    ask('b');
    await until(() => count.handled === 2);
    first.socket.resume();
    await until(() => count.handled === 3);
  });

  it('that are read too slowly end with their connection', async () => {
    ask('a');
    await until(() => count.handled === 1 && held() === 20 * MIB + 2);
    vi.advanceTimersByTime(2_589_999);
    await settled();
    expect(held()).toBe(20 * MIB + 2);
    vi.advanceTimersByTime(1);
    await until(() => held() === 0);
  });
});
