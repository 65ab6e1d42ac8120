/** Row A2: on 401 or 403 one new log-in and one more try; never a loop. And where credentials come from. */
import { execFileSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readLine } from '../../src/files/files.js';
import { readCredentials } from '../../src/remote/credentials.js';
import { failureOf } from '../support/failures.js';
import { fakeClient } from '../support/fake-client.js';
import { FakeGuard, failure } from '../support/fake-guard.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('session');
const fake = new FakeGuard();
beforeAll(() => fake.listen());
afterAll(() => fake.close());
afterEach(() => fake.restore());

const account = {
  id: '0'.repeat(32),
  email: 'a@example.com',
  role: 'admin',
  disabled: false,
  mustChangePassword: false,
  created: 1,
};
const client = (more = {}) => fakeClient(fake, { state: path.join(base, 'state'), ...more });
const bearer = (headers: { authorization?: string | undefined }): string => headers.authorization ?? 'none';

describe('a session', () => {
  it('logs in at the first request, once for all who wait', async () => {
    fake.on('account', () => ({ json: account }));
    const { guard } = client();
    expect(fake.asked).toEqual([]);
    await Promise.all(Array.from({ length: 10 }, () => guard.account.get()));
    expect(fake.count('token')).toBe(1);
    expect(fake.count('account')).toBe(10);
    await guard.account.get();
    expect(fake.count('token')).toBe(1);
  });

  it('takes a new token before the old one ends', async () => {
    fake.on('account', () => ({ json: account }));
    const { guard } = client();
    await guard.account.get();
    fake.now += 880;
    await guard.account.get();
    expect(fake.count('token')).toBe(2);
  });

  it.each([
    [401, 'NOT_AUTHENTICATED'],
    [403, 'NOT_AUTHORISED'],
  ])('after %i logs in once more, tries once more, and then believes it', async (status, code) => {
    fake.on('account', () => failure(status, code));
    const { guard } = client();
    expect((await failureOf(() => guard.account.get())).code).toBe(code);
    expect(fake.count('account')).toBe(2);
    expect(fake.count('token')).toBe(2);
    const [first, second] = fake.asked.filter(({ name }) => name === 'account').map(({ headers }) => bearer(headers));
    expect(first).not.toBe(second);
  });

  it('believes a 403 at once that says that the account has no such permission', async () => {
    const challenge = { 'www-authenticate': 'Bearer error="insufficient_scope"' };
    fake.on('account', () => failure(403, 'NOT_AUTHORISED', 'no', challenge));
    const { guard } = client();
    expect((await failureOf(() => guard.account.get())).code).toBe('NOT_AUTHORISED');
    expect((await failureOf(() => guard.account.get())).code).toBe('NOT_AUTHORISED');
    expect([fake.count('account'), fake.count('token')]).toEqual([2, 1]);
  });

  it.each([401, 403])('after one %i goes on as if nothing had been', async (status) => {
    fake.times(1, 'account', () => failure(status, status === 401 ? 'NOT_AUTHENTICATED' : 'NOT_AUTHORISED'));
    const usual = fake.replaced.get('account');
    fake.on('account', async (asked, response) => {
      const reply = await usual?.(asked, response);
      return reply?.status === status ? reply : { json: account };
    });
    const { guard } = client();
    expect((await guard.account.get()).email).toBe('a@example.com');
    expect(fake.count('token')).toBe(2);
  });

  it('shares the new log-in, too, among those whose token ended together', async () => {
    const { guard } = client();
    fake.on('account', () => ({ json: account }));
    await guard.account.get();
    const first = bearer(fake.asked.find(({ name }) => name === 'account')?.headers ?? {});
    fake.on('account', ({ headers }) => (bearer(headers) === first ? failure(401, 'NOT_AUTHENTICATED') : { json: account }));
    await Promise.all(Array.from({ length: 10 }, () => guard.account.get()));
    expect(fake.count('token')).toBe(2);
  });

  it.each(['DEVICE_REVOKED', 'DEVICE_NOT_APPROVED', 'PROOF_INVALID'])(
    '%s is not about the token: nobody logs in for it',
    async (code) => {
      fake.on('challengeLease', () => failure(403, code));
      const { guard } = client();
      expect((await failureOf(() => guard.lease('net@1'))).code).toBe(code);
      expect(fake.count('challengeLease')).toBe(1);
      expect(fake.count('token')).toBe(1);
    },
  );

  it('a log-in that is refused is final, and says nothing of what was sent', async () => {
    fake.on('token', () => failure(401, 'NOT_AUTHENTICATED', 'E-mail address or password is wrong'));
    const error = await failureOf(() => client().guard.account.get());
    expect(error.code).toBe('NOT_AUTHENTICATED');
    expect(fake.count('token')).toBe(1);
    expect(JSON.stringify([error.message, error.stack, String(error.cause)])).not.toContain('the password of a test');
  });

  it('a password is changed once: a wrong one is not tried twice, which would count twice towards the lock-out', async () => {
    fake.on('account', () => ({ json: account }));
    fake.on('changePassword', () => failure(401, 'NOT_AUTHENTICATED', 'E-mail address or password is wrong'));
    const { guard } = client();
    await guard.account.get();
    expect((await failureOf(() => guard.account.changePassword('not the password', 'another password of a test'))).code).toBe(
      'NOT_AUTHENTICATED',
    );
    expect(fake.count('changePassword')).toBe(1);
    // With a fresh token, so that it is the password that was refused.
    expect(fake.count('token')).toBe(2);
  });

  it('a refusal stands where no fresh token can be had', async () => {
    fake.on('account', () => failure(403, 'NOT_AUTHORISED'));
    const { guard } = client();
    await guard.login();
    fake.on('token', () => failure(429, 'RATE_LIMITED', 'too many', { 'retry-after': '60' }));
    expect((await failureOf(() => guard.account.get())).code).toBe('NOT_AUTHORISED');
    fake.on('account', () => failure(401, 'NOT_AUTHENTICATED'));
    expect((await failureOf(() => guard.account.get())).code).toBe('RATE_LIMITED');
  });

  it('shows neither token nor password to whoever prints the client', async () => {
    const { guard } = client();
    await guard.login();
    const text = inspect(guard, { depth: 20, showHidden: true, getters: true }) + JSON.stringify(guard);
    expect(text).not.toMatch(/eyJ|the password of a test/);
  });

  it('a lock-out is not waited for', async () => {
    fake.on('token', () => failure(429, 'RATE_LIMITED', 'too many', { 'retry-after': '900' }));
    const { guard, pace } = client();
    expect(await failureOf(() => guard.account.get())).toMatchObject({
      code: 'RATE_LIMITED',
      message: expect.stringContaining('900 s'),
    });
    expect(fake.count('token')).toBe(1);
    expect(pace.pauses).toEqual([]);
  });

  it('one caller who leaves does not end the log-in of the others', async () => {
    fake.on('account', () => ({ json: account }));
    const { guard } = client();
    const controller = new AbortController();
    const leaving = guard.account.get({ signal: controller.signal });
    const staying = guard.account.get();
    controller.abort('left');
    expect(await failureOf(() => leaving)).toMatchObject({ code: 'ABORT_ERR', cause: 'left' });
    expect((await staying).role).toBe('admin');
    expect(fake.count('token')).toBe(1);
  });

  it('sends no token where there are no credentials', async () => {
    fake.on('account', () => ({ json: account }));
    await client({ credentials: undefined }).guard.account.get();
    expect(fake.count('token')).toBe(0);
    expect(fake.asked[0]?.headers.authorization).toBeUndefined();
  });
});

describe('credentials', () => {
  const good = { email: 'a@example.com', password: ' with spaces ' };
  const write = (name: string, text: string, mode = 0o600): string => {
    const file = path.join(base, name);
    writeFileSync(file, text);
    chmodSync(file, mode);
    return file;
  };
  it('come from two lines, JSON, a callback, or the environment', async () => {
    const lines = write('lines', 'a@example.com\n with spaces \n');
    const json = write('json', JSON.stringify(good));
    process.env.TEST_EMAIL = good.email;
    process.env.TEST_PASSWORD = good.password;
    const env = { email: 'TEST_EMAIL', password: 'TEST_PASSWORD' };
    for (const source of [{ file: lines }, { file: json }, () => good, async () => good, { env }])
      expect(await readCredentials(source)).toEqual(good);
  });

  it('in a file that others may read are warned about', async () => {
    const warned = new Promise<Error & { code?: string }>((resolve) => process.once('warning', resolve));
    await readCredentials({ file: write('open', 'a@example.com\nsecret\n', 0o644) });
    expect((await warned).code).toBe('MODEL_GUARD_KEY_PERMISSIONS');
  });

  it.each([
    ['an empty file', () => ({ file: write('empty', '') })],
    ['one line', () => ({ file: write('one', 'a@example.com') })],
    ['broken JSON', () => ({ file: write('broken', '{"email":"a@example.com","password":"hush') })],
    ['variables that are not set', () => ({ env: { email: 'NOT_SET_1', password: 'NOT_SET_2' } })],
    ['a callback that gives nothing', () => () => undefined as never],
  ])('%s is no credentials, and what it holds is not shown', async (_, source) => {
    const error = await failureOf(() => readCredentials(source()));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(String(error.stack)).not.toContain('hush');
  });

  it('that are not UTF-8 are refused: bytes that are no text would all be read as one character', async () => {
    const file = path.join(base, 'latin1');
    writeFileSync(file, Buffer.from('a@example.com\nM\u00fcller-M\u00fcller\n', 'latin1'), { mode: 0o600 });
    process.env.TEST_EMAIL = good.email;
    // As Node reads a variable whose bytes are not UTF-8.
    process.env.TEST_PASSWORD = 'M\ufffdller';
    for (const source of [{ file }, { env: { email: 'TEST_EMAIL', password: 'TEST_PASSWORD' } }]) {
      const error = await failureOf(() => readCredentials(source));
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('options.credentials') });
      expect(error.message).not.toContain('ller');
    }
    expect((await failureOf(() => readLine(file))).code).toBe('INVALID_ARGUMENT');
    const lines = path.join(base, 'utf8');
    writeFileSync(lines, 'M\u00fcller-M\u00fcller\nmore\n');
    expect(await readLine(lines)).toBe('M\u00fcller-M\u00fcller');
  });

  it('that are not there are NOT_FOUND', async () => {
    expect((await failureOf(() => readCredentials({ file: path.join(base, 'none') }))).code).toBe('NOT_FOUND');
    const pipe = path.join(base, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect((await failureOf(() => readCredentials({ file: pipe }))).code).toBe('SOURCE_UNSUPPORTED');
  });
});
