/** Answers that a server of this contract never gives. Each must end in a code of its own, soon, and in bounded memory. */
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RouteName } from '../../src/contract/index.js';
import { ERROR_CODES } from '../../src/errors.js';
import { failureOf } from '../support/failures.js';
import { fakeClient } from '../support/fake-client.js';
import { FakeGuard, failure, type Handler, randomHex } from '../support/fake-guard.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('answers');
const fake = new FakeGuard();
beforeAll(() => fake.listen());
afterAll(() => fake.close());
afterEach(() => fake.restore());
const client = (more = {}) => fakeClient(fake, { state: path.join(base, 'state'), ...more });

const device = {
  id: randomHex(16),
  account: randomHex(16),
  name: 'a bench',
  publicKey: `mgd1:${'A'.repeat(86)}`,
  fingerprint: 'x',
  sealed: false,
  state: 'pending',
  created: 1,
};
const text =
  (body: string, type = 'application/json', headers = {}): Handler =>
  () => ({
    bytes: Buffer.from(body),
    headers: { 'content-type': type, ...headers },
  });
const MIB = 2 ** 20;

describe('an answer', () => {
  it('may grow: what is not known is left out', async () => {
    fake.on('getDevice', () => ({ json: { ...device, colour: 'red' } }));
    expect(await client().guard.devices.get(device.id)).toEqual(device);
  });

  it.each<[string, Handler]>([
    ['nothing', text('')],
    ['no JSON', text('<html>')],
    ['half a JSON', text('{"id":')],
    ['JSON that is no UTF-8', () => ({ bytes: Uint8Array.of(34, 255, 34), headers: { 'content-type': 'application/json' } })],
    ['JSON under another type', text(JSON.stringify(device), 'text/html')],
    ['JSON without a type', text(JSON.stringify(device), '')],
    ['a list', text('[]')],
    ['null', text('null')],
    ['deep JSON', text('['.repeat(100_000))],
    ['missing members', () => ({ json: { id: device.id } })],
    ['members of another type', () => ({ json: { ...device, created: '1' } })],
    ['values out of bounds', () => ({ json: { ...device, state: 'blessed' } })],
    ['another success', () => ({ status: 201, json: device })],
    ['a success without content', () => ({ status: 204 })],
    ['a redirect', () => ({ status: 302, headers: { location: 'http://127.0.0.1:1/' } })],
    ['an encoding', text(JSON.stringify(device), 'application/json', { 'content-encoding': 'gzip' })],
    ['a length beyond all bounds', text('', 'application/json', { 'content-length': String(2 ** 40) })],
    ['404 by something that is no guard server', () => ({ status: 404, bytes: Buffer.from('<h1>Not Found</h1>') })],
    ['401 by something that is no guard server', () => ({ status: 401, bytes: Buffer.from('') })],
    ['a status that is none', () => ({ status: 418, json: {} })],
  ])('with %s is RESPONSE_INVALID, and asked for again: something in between may have answered', async (_, handler) => {
    fake.on('getDevice', handler);
    const error = await failureOf(() => client().guard.devices.get(device.id));
    expect(error.code).toBe('RESPONSE_INVALID');
    expect(fake.count('getDevice')).toBe(4);
  });

  it('that never ends is cut off', async () => {
    let sent = 0;
    fake.on('getDevice', (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(MIB, 32))) sent += 1;
        sent += 1;
      };
      response.on('drain', more);
      more();
      return undefined;
    });
    expect((await failureOf(() => client().guard.devices.get(device.id))).code).toBe('RESPONSE_INVALID');
    expect(sent).toBeLessThan(100);
  });

  it('is not parsed for seconds where nothing so large can be meant', async () => {
    fake.on('getDevice', text(`[${'[],'.repeat(4 * MIB)}[]]`));
    const error = await failureOf(() => client().guard.devices.get(device.id));
    expect(error).toMatchObject({ code: 'RESPONSE_INVALID', message: expect.stringContaining('more than 65536 bytes') });
  });

  it('that breaks off is asked for again, and then told', async () => {
    fake.on('getDevice', (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 });
      response.write('{"id":');
      setImmediate(() => response.destroy());
      return undefined;
    });
    const { guard, pace } = client();
    expect((await failureOf(() => guard.devices.get(device.id))).code).toBe('SERVER_UNREACHABLE');
    expect(fake.count('getDevice')).toBe(4);
    expect(pace.pauses).toEqual([200, 400, 800]);
  });

  it.each<[string, Handler]>([
    ['never comes', () => undefined],
    [
      'begins and never ends',
      (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('{');
        return undefined;
      },
    ],
  ])('that %s is TIMED_OUT', async (_, handler) => {
    const { guard } = client({ timeoutMs: 1000 });
    await guard.login();
    fake.on('approveDevice', handler);
    expect((await failureOf(() => guard.devices.approve(device.id, 'x'))).code).toBe('TIMED_OUT');
    // Whether it was approved nobody knows: it is not asked for twice.
    expect(fake.count('approveDevice')).toBe(1);
  });
});

describe('a refusal', () => {
  it.each<[number, string, string]>([
    [400, 'PASSWORD_WEAK', 'PASSWORD_WEAK'],
    [400, 'SOMETHING_NEW', 'INVALID_ARGUMENT'],
    [404, 'NOT_FOUND', 'NOT_FOUND'],
    [409, 'SEATS_TAKEN', 'SEATS_TAKEN'],
    [409, 'SOMETHING_NEW', 'ALREADY_EXISTS'],
    [413, 'LIMIT_EXCEEDED', 'LIMIT_EXCEEDED'],
    [500, 'SERVER_FAILED', 'SERVER_FAILED'],
    // What only this side can know is not the server's to say.
    [404, 'TIMED_OUT', 'NOT_FOUND'],
    [403, 'ABORT_ERR', 'NOT_AUTHORISED'],
    [400, 'SERVER_UNREACHABLE', 'INVALID_ARGUMENT'],
    [409, 'DEVICE_REVOKED', 'ALREADY_EXISTS'],
    [500, 'NOT_FOUND', 'SERVER_FAILED'],
  ])('%i %s is %s', async (status, code, expected) => {
    fake.on('getDevice', () => failure(status, code));
    expect((await failureOf(() => client().guard.devices.get(device.id))).code).toBe(expected);
  });

  it.each([500, 503])('%i by a proxy, with a page of any length, is SERVER_FAILED: what was kept may be used', async (status) => {
    fake.on('getDevice', () => ({ status, bytes: Buffer.alloc(MIB, 'a page ') }));
    expect((await failureOf(() => client().guard.devices.get(device.id))).code).toBe('SERVER_FAILED');
  });

  it('tells its reason in one clean line, its request, and one advice', async () => {
    const advice = 'Check the name, the version and the place.';
    fake.on('getDevice', () => failure(404, 'NOT_FOUND', `no\u001b[31m such\r\ndevice\u202e. ${advice}`));
    const { message } = await failureOf(() => client().guard.devices.get(device.id));
    expect(message).toBe(`no [31m such device (request request-1). ${advice}`);
  });

  it.each<[string, { status: number; code: string; said: string }, string]>([
    [
      'its own, where it gives one: the general one of the code knows less',
      { status: 403, code: 'NOT_AUTHORISED', said: 'The role x may not. Ask for the role y: it may. Then log in again.' },
      'The role x may not (request request-1). Ask for the role y: it may. Then log in again.',
    ],
    [
      'the general one, where it gives none',
      { status: 403, code: 'NOT_AUTHORISED', said: 'The role x may not do 1.5 of it' },
      `The role x may not do 1.5 of it (request request-1). ${ERROR_CODES.NOT_AUTHORISED.advice}`,
    ],
    [
      'its own, of a limit too',
      { status: 413, code: 'LIMIT_EXCEEDED', said: 'The disk of this server is full. Have its administrator make room.' },
      'The disk of this server is full (request request-1). Have its administrator make room.',
    ],
    [
      'its own, with a code that is not known here',
      { status: 409, code: 'SOMETHING_NEW', said: 'The moon is full. Wait for a night.' },
      'The moon is full (request request-1). Wait for a night.',
    ],
  ])('gives one advice: %s', async (_what, { status, code, said }, expected) => {
    fake.on('getDevice', () => failure(status, code, said));
    expect((await failureOf(() => client().guard.devices.get(device.id))).message).toBe(expected);
  });

  it('names the field that is wrong once', async () => {
    const error = { code: 'INVALID_ARGUMENT', message: 'seats is too many. Ask for less.', path: 'seats', request: 'request-1' };
    fake.on('getDevice', () => ({ status: 400, json: { error } }));
    const { message } = await failureOf(() => client().guard.devices.get(device.id));
    expect(message).toBe('seats: is too many (request request-1). Ask for less.');
  });

  it('of a proxy tells what it means', async () => {
    fake.on('getDevice', () => ({ status: 413, bytes: Buffer.from('<html>') }));
    expect((await failureOf(() => client().guard.devices.get(device.id))).code).toBe('LIMIT_EXCEEDED');
  });

  it.each<[string, RouteName, Handler, number]>([
    ['503 with Retry-After, of anything', 'approveDevice', () => failure(503, 'X', 'x', { 'retry-after': '2' }), 4],
    ['503 without, of what must not be done twice', 'approveDevice', () => failure(503, 'X'), 1],
    ['502, of what may be', 'getDevice', () => ({ status: 502, bytes: Buffer.from('<html>') }), 4],
    ['429, of anything', 'approveDevice', () => failure(429, 'RATE_LIMITED', 'x', { 'retry-after': '1' }), 4],
    ['500, of nothing', 'getDevice', () => failure(500, 'SERVER_FAILED'), 1],
    [
      '503 of a gateway with Retry-After, of what must not be done twice',
      'approveDevice',
      () => ({ status: 503, bytes: Buffer.from('<html>'), headers: { 'retry-after': '2' } }),
      1,
    ],
    ['500 of a gateway, of what may be', 'getDevice', () => ({ status: 500, bytes: Buffer.from('<html>') }), 4],
    [
      '404 of a gateway, of what must not be done twice',
      'approveDevice',
      () => ({ status: 404, bytes: Buffer.from('<html>') }),
      1,
    ],
  ])('%s: asked so many times', async (_, name, handler, times) => {
    fake.on(name, handler);
    const { guard } = client();
    await failureOf(() => (name === 'getDevice' ? guard.devices.get(device.id) : guard.devices.approve(device.id, 'x')));
    expect(fake.count(name)).toBe(times);
  });
});

describe('an abort', () => {
  it.each<[string, RouteName, () => (guard: ReturnType<typeof client>['guard'], signal: AbortSignal) => Promise<unknown>]>([
    ['the proof of the key', 'serverKey', () => (guard, signal) => guard.devices.get(device.id, { signal })],
    ['a log-in', 'token', () => (guard, signal) => guard.devices.get(device.id, { signal })],
    ['the check of a token', 'jwks', () => (guard, signal) => guard.devices.get(device.id, { signal })],
    ['a request', 'getDevice', () => (guard, signal) => guard.devices.get(device.id, { signal })],
    ['a challenge', 'challengeLease', () => (guard, signal) => guard.lease('net@1', { signal })],
    ['a lease', 'takeLease', () => (guard, signal) => guard.lease('net@1', { signal })],
    ['the newest version', 'latestVersion', () => (guard, signal) => guard.lease('net', { signal })],
    ['the server’s statement', 'server', () => (guard, signal) => guard.lease('net@1', { signal })],
  ])('during %s ends it at once, with the reason', async (_, name, task) => {
    const controller = new AbortController();
    const reached = new Promise<void>((resolve) =>
      fake.on(name, () => {
        resolve();
        return undefined;
      }),
    );
    const running = failureOf(() => task()(client().guard, controller.signal));
    await reached;
    controller.abort('enough');
    expect(await running).toMatchObject({ code: 'ABORT_ERR', cause: 'enough' });
  });

  it('beforehand asks nothing', async () => {
    const signal = AbortSignal.abort('no');
    expect((await failureOf(() => client().guard.devices.get(device.id, { signal }))).cause).toBe('no');
    expect(fake.asked).toEqual([]);
  });
});

describe('a list', () => {
  const list = async (): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { id } of client().guard.devices.list()) ids.push(id);
    return ids;
  };
  it('comes page after page', async () => {
    const pages = [1, 2, 3].map((page) => ({ ...device, id: String(page).repeat(32) }));
    fake.on('listDevices', ({ query }) => {
      const at = Number(query.get('cursor') ?? 0);
      return { json: { items: [pages[at]], ...(at < 2 && { next: String(at + 1) }) } };
    });
    expect(await list()).toEqual(pages.map(({ id }) => id));
  });
  it('that goes in circles is refused', async () => {
    fake.on('listDevices', ({ query }) => ({ json: { items: [], next: query.get('cursor') === 'a' ? 'b' : 'a' } }));
    expect((await failureOf(list)).code).toBe('RESPONSE_INVALID');
  });
});
