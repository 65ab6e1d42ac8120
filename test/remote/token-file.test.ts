/**
 * The processes of a machine share a token. If these fail, a fleet that starts meets the limit of log-ins, or a token lies where another
 * account, device or program can use it.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { DeviceKey } from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { type FakeClientOptions, fakeClient } from '../support/fake-client.js';
import { FakeGuard, failure, randomHex } from '../support/fake-guard.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('token-file');
const fake = new FakeGuard();
beforeAll(() => fake.listen());
afterAll(() => fake.close());
afterEach(() => fake.restore());

const device = DeviceKey.generate();
let state = '';
beforeEach(() => {
  state = path.join(base, randomHex(4));
  fake.on('account', ({ headers }) => ({ json: { ...account, name: mark(headers.authorization) } }));
});
const account = {
  id: '0'.repeat(32),
  email: 'a@example.com',
  role: 'admin',
  disabled: false,
  mustChangePassword: false,
  created: 1,
};

/** Tells tokens apart: they are too long for a name. */
const mark = (bearer = 'none'): string => createHash('sha256').update(bearer).digest('hex');
/** A process: a client of its own over the same state. Gives the mark of the token that it used. */
const worker = async (more: Partial<FakeClientOptions> = {}): Promise<string | undefined> =>
  (await fakeClient(fake, { state, device, ...more }).guard.account.get()).name;
const as = (email: string) => ({ credentials: () => ({ email, password: 'the password of a test' }) });
const logIns = (): number => fake.count('token');
/** Of the device that all share. */
const file = (): string => {
  const folder = path.join(state, readdirSync(state)[0] ?? '');
  return path.join(folder, readdirSync(folder).find((name) => name.endsWith('.token')) ?? 'none');
};

describe('a token', () => {
  it('is used by the next process, after the server has proved its key there too', async () => {
    const first = await worker();
    expect(await worker()).toBe(first);
    expect([logIns(), fake.count('serverKey')]).toEqual([1, 2]);
  });

  it('is had once by workers that start together', async () => {
    const used = await Promise.all(Array.from({ length: 12 }, () => worker()));
    expect([new Set(used).size, logIns()]).toEqual([1, 1]);
  });

  it('is had once after a pause that the server wants', async () => {
    let refused = 0;
    fake.on('token', (asked) => {
      if (refused++ < 3) return failure(429, 'RATE_LIMITED', 'no', { 'retry-after': '30' });
      return fake.usual(asked);
    });
    const used = await Promise.all(Array.from({ length: 3 }, () => worker()));
    expect(new Set(used).size).toBe(1);
  });

  it('lies sealed on the disk, for this user alone', async () => {
    await worker();
    const [, used = ''] = fake.asked.find(({ name }) => name === 'account')?.headers.authorization?.split(' ') ?? [];
    expect(used).not.toBe('');
    const stored = readFileSync(file());
    for (const secret of [used, used.split('.')[2] ?? '', account.email]) expect(stored.includes(secret)).toBe(false);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['another account', () => worker(as('b@example.com'))],
    ['another device', () => worker({ device: DeviceKey.generate() })],
    ['another state', () => worker({ state: path.join(base, randomHex(4)) })],
    ['a client without a device', () => worker({ device: undefined, state: undefined as unknown as string })],
    ['a log-in that is asked for', () => fakeClient(fake, { state, device }).guard.login()],
    [
      'a change of the password',
      () => {
        fake.on('changePassword', () => ({ status: 204 }));
        return fakeClient(fake, { state, device }).guard.account.changePassword('the old password', 'the new password');
      },
    ],
  ])('is not used by %s', async (_, other) => {
    await worker();
    await other();
    expect(logIns()).toBe(2);
  });

  it('that is about to end is replaced', async () => {
    await worker();
    fake.now += 880;
    await worker();
    expect(logIns()).toBe(2);
  });

  it('that the server does not accept any more is replaced once, for all', async () => {
    const old = await worker();
    fake.on('account', ({ headers }) =>
      mark(headers.authorization) === old
        ? failure(401, 'NOT_AUTHENTICATED')
        : { json: { ...account, name: mark(headers.authorization) } },
    );
    const used = await Promise.all(Array.from({ length: 5 }, () => worker()));
    expect([new Set(used).size, logIns()]).toEqual([1, 2]);
  });

  it('that lets its account do nothing but change the password is not kept', async () => {
    fake.on('token', async () => ({ json: { token: await fake.token(), expires: fake.now + 900, mustChangePassword: true } }));
    await worker();
    expect(existsSync(file())).toBe(false);
  });

  it('is not used where the credentials cannot be read', async () => {
    await worker();
    const unreadable = { credentials: { file: path.join(base, 'none') } };
    expect((await failureOf(() => worker(unreadable))).code).toBe('NOT_FOUND');
  });
});

describe('the file', () => {
  it.each<[string, (at: string) => void]>([
    ['is gone', (at) => rmSync(at)],
    ['is empty', (at) => writeFileSync(at, '')],
    [
      'is damaged',
      (at) =>
        writeFileSync(
          at,
          readFileSync(at).map((byte) => byte ^ 1),
        ),
    ],
    ['is another one of the device', (at) => writeFileSync(at, readFileSync(at.replace(/token$/, '1')))],
  ])('that %s is replaced by a log-in', async (_, change) => {
    await fake.publish('net', '1', 1, new Uint8Array(5000));
    await fakeClient(fake, { state, device }).guard.lease('net@1');
    change(file());
    await worker();
    await worker();
    expect(logIns()).toBe(2);
  });

  it('that cannot be written costs a log-in, and nothing else', async () => {
    writeFileSync(state, 'a file in the place of the folder');
    await worker();
    await worker();
    expect(logIns()).toBe(2);
  });
});
