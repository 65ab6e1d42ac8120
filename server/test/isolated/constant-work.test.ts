/** If this fails, the time of an answer tells which addresses have an account. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { PASSWORD, startTestServer, type TestServer } from '../support/server.js';

const { hash, verify } = vi.hoisted(() => ({ hash: vi.fn(), verify: vi.fn() }));
vi.mock('@node-rs/argon2', async (original) => {
  const real = await original<typeof import('@node-rs/argon2')>();
  return { ...real, hash: hash.mockImplementation(real.hash), verify: verify.mockImplementation(real.verify) };
});

describe('a log-in', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
    await server.request('apiAdmin', 'updateUser', {
      params: { account: server.accounts.companion.id },
      body: { disabled: true },
    });
  });
  afterAll(() => server.close());
  beforeEach(() => {
    hash.mockClear();
    verify.mockClear();
  });

  it.each([
    ['of an account', 'operator@example.com', PASSWORD],
    ['with a wrong password', 'operator@example.com', 'wrong'],
    ['of a disabled account', 'companion@example.com', PASSWORD],
    ['of no account', 'unknown@example.com', PASSWORD],
  ])('%s verifies one hash of the same cost', async (_what, email, password) => {
    await server.request(undefined, 'token', { body: { email, password } });
    expect(hash).not.toHaveBeenCalled();
    expect(verify).toHaveBeenCalledOnce();
    expect(verify.mock.calls[0]?.[0]).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  });
});

describe('a change of the password', () => {
  it('hashes nothing for a wrong one, and neither hashes nor verifies where log-ins are locked', async () => {
    const server = await startTestServer();
    const change = async (current: string) =>
      (await server.request('operator', 'changePassword', { body: { current, next: 'another phrase that is long' } })).statusCode;
    try {
      hash.mockClear();
      verify.mockClear();
      for (let attempt = 0; attempt < 5; attempt++) expect(await change('wrong')).toBe(401);
      expect([hash.mock.calls.length, verify.mock.calls.length]).toEqual([0, 5]);
      expect(await change(PASSWORD)).toBe(429);
      expect([hash.mock.calls.length, verify.mock.calls.length]).toEqual([0, 5]);
      server.clock.advance(30);
      expect(await change(PASSWORD)).toBe(204);
      expect([hash.mock.calls.length, verify.mock.calls.length]).toEqual([1, 6]);
    } finally {
      await server.close();
    }
  });
});
