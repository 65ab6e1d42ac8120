/** A fleet that starts meets the limit of log-ins. A worker that does not wait as long as the server says fails for nothing. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DeviceKey, type GuardServer } from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { fakeClient } from '../support/fake-client.js';
import { FakeGuard, failure, randomHex } from '../support/fake-guard.js';
import { Random } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('rate-limits');
const fake = new FakeGuard();
const random = new Random(23);
beforeAll(async () => {
  await fake.listen();
  await fake.publish('net', '1', 1, random.bytes(200_000));
});
afterAll(() => fake.close());
afterEach(() => fake.restore());
let folder = '';
beforeEach(() => {
  folder = path.join(base, randomHex(4));
});
const client = (more = {}) => fakeClient(fake, { state: folder, ...more });
const later = (seconds: number) => () => failure(429, 'RATE_LIMITED', 'Too many attempts', { 'retry-after': String(seconds) });
const account = {
  id: '0'.repeat(32),
  email: 'a@example.com',
  role: 'admin',
  disabled: false,
  mustChangePassword: false,
  created: 1,
};

async function drain(stream: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const piece of stream) piece.fill(0);
}

/** Calls that begin with a log-in, in all the ways that there are. */
const CALLS: readonly (readonly [string, (guard: GuardServer) => Promise<unknown>])[] = [
  ['a question', (guard) => guard.account.get()],
  ['a log-in', (guard) => guard.login()],
  ['a lease', (guard) => guard.lease('net@1')],
  ['a change of the password', (guard) => guard.account.changePassword('the old password', 'the new password')],
  ['an unlock', (guard) => failureOf(() => drain(guard.unlock(path.join(base, 'archive')).stream))],
  [
    'an upload that streams once',
    (guard) =>
      guard.putBig({ name: 'net', version: '2' }, `${'a'.repeat(32)}-0`, {
        size: 3,
        tree: () => new Uint8Array(),
        stream: async function* () {
          yield Uint8Array.of(1, 2, 3);
        },
      }),
  ],
];

describe('a pause that the server wants before a log-in', () => {
  beforeEach(() => {
    writeFileSync(path.join(base, 'archive'), 'x');
    fake.on('account', () => ({ json: account }));
    fake.on('changePassword', () => ({ status: 204 }));
    fake.on('getArchive', () => failure(404, 'NOT_FOUND'));
    fake.on('putPart', ({ params }) => ({ status: 201, json: { name: params.part, size: 3 } }));
  });

  it.each(CALLS)('is made by %s', async (_, call) => {
    const { guard, pace } = client();
    fake.times(1, 'token', later(55));
    await call(guard);
    expect(pace.pauses).toEqual([55_200]);
    expect(fake.count('token')).toBe(2);
  });

  it('is made by all who wait for the same log-in, which is asked for once more', async () => {
    const { guard } = client();
    fake.times(1, 'token', later(55));
    await Promise.all(Array.from({ length: 12 }, () => guard.account.get()));
    expect(fake.count('token')).toBe(2);
  });

  it('that is longer than the patience is an error that tells it, at once', async () => {
    const { guard, pace } = client();
    fake.on('token', later(900));
    const error = await failureOf(() => guard.account.get());
    expect(error.code).toBe('RATE_LIMITED');
    expect(error.message).toContain('900 s');
    expect([fake.count('token'), pace.pauses]).toEqual([1, []]);
  });

  it.each([
    [0, 1],
    [30_000, 1],
    [60_000, 2],
    [600_000, 4],
  ])('is made up to patienceMs: %i in all', async (patienceMs, tries) => {
    fake.on('token', later(31));
    const { guard } = client({ patienceMs });
    expect((await failureOf(() => guard.account.get())).code).toBe('RATE_LIMITED');
    expect(fake.count('token')).toBe(tries);
  });
});

describe('with a lease that is kept', () => {
  const device = DeviceKey.generate();
  const kept = async () => {
    await client({ device }).guard.lease('net@1');
    fake.restore();
    // The token that is kept too has ended.
    fake.now += 900;
    return client({ device });
  };

  it.each(['token', 'challengeLease', 'takeLease'] as const)('a short pause is made (%s)', async (route) => {
    const { guard, pace } = await kept();
    fake.times(1, route, later(2));
    expect((await guard.lease('net@1')).source).toBe('server');
    expect(pace.pauses).toEqual([2200]);
  });

  it('a longer one is not: the kept lease opens', async () => {
    const { guard, pace } = await kept();
    fake.on('takeLease', later(20));
    expect((await guard.lease('net@1')).source).toBe('kept');
    expect(pace.pauses).toEqual([]);
  });

  it('a big part that is at the server is waited for as long as the server wants', async () => {
    const { guard, pace } = await kept();
    const ref = { name: 'net', version: '1' };
    fake.on('takeLease', later(20));
    await guard.getSmall(ref);
    fake.now += 400;
    const part = await guard.openBig(ref, fake.models.get('net@1')?.bigName ?? '');
    fake.times(1, 'takeLease', later(20));
    expect(Buffer.concat([await part.read(0, 100)].flat())).toHaveLength(100);
    expect(pace.pauses.some((pause) => pause >= 20_000)).toBe(true);
  });
});
