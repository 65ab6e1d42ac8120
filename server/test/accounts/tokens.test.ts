/** Tokens: signing, verification, keys. If these fail, a forged token opens this server. */
import { createHmac, createPublicKey } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readStatement } from '@org/model-guard/server-kit';
import { decodeJwt, decodeProtectedHeader, importJWK, jwtVerify, SignJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeTokens, type Tokens } from '../../src/accounts/tokens.js';
import { startTestServer, type TestServer } from '../support/server.js';

let server: TestServer;
beforeEach(async () => {
  server = await startTestServer();
});
afterEach(() => server.close());

const ask = (token: string, to: TestServer = server) =>
  to.request(undefined, 'account', { headers: { authorization: `Bearer ${token}` } });
const status = async (token: string): Promise<number> => (await ask(token)).statusCode;
const parts = (token: string) => token.split('.') as [string, string, string];
const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
/** Another process of the same server. */
const otherProcess = (): Promise<Tokens> => makeTokens(server.context);
const jwks = async () => (await server.request(undefined, 'jwks')).json();

describe('a token', () => {
  it('names issuer, audience, account and lifetime, and verifies by the published keys', async () => {
    const token = await server.token('operator');
    const { keys } = await jwks();
    const { payload, protectedHeader } = await jwtVerify(
      token,
      async ({ kid }) => importJWK(keys.find((key: { kid: string }) => key.kid === kid)),
      { algorithms: ['EdDSA'], currentDate: new Date(server.clock.now * 1000) },
    );
    expect(protectedHeader).toMatchObject({ alg: 'EdDSA', typ: 'JWT' });
    expect(payload).toEqual({
      iss: server.context.serverId,
      aud: 'model-guard',
      sub: server.accounts.operator.id,
      role: 'operator',
      iat: server.clock.now,
      exp: server.clock.now + 900,
      jti: expect.any(String),
    });
    expect(keys[0]).not.toHaveProperty('d');
  });

  it('lives for 15 minutes to the second', async () => {
    const token = await server.token('operator');
    server.clock.advance(899);
    expect(await status(token)).toBe(200);
    server.clock.advance(1);
    expect(await status(token)).toBe(401);
  });

  it('from before the clock was set back is refused', async () => {
    const token = await server.token('operator');
    server.clock.advance(-3600);
    expect(await status(token)).toBe(401);
  });

  it('with any changed part is refused', async () => {
    const token = await server.token('operator');
    const [header, payload, signature] = parts(token);
    const promoted = json({ ...decodeJwt(token), sub: server.accounts.apiAdmin.id, role: 'apiAdmin' });
    for (const forged of [
      `${header}.${promoted}.${signature}`,
      `${json({ ...decodeProtectedHeader(token), alg: 'none' })}.${payload}.`,
      `${json({ alg: 'none' })}.${promoted}.`,
      `${header}.${payload}.`,
      `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
      `${header}.${payload}`,
      'x.y.z',
      '..',
      '',
    ])
      expect(await status(forged), forged).toBe(401);
  });

  it('signed by the public key as if it were a shared secret is refused', async () => {
    const token = await server.token('operator');
    const { keys } = await jwks();
    const spki = createPublicKey({ key: keys[0], format: 'jwk' });
    const secrets = [
      Buffer.from(keys[0].x, 'base64url'),
      Buffer.from(JSON.stringify(keys[0])),
      Buffer.from(spki.export({ type: 'spki', format: 'pem' })),
    ];
    const content = `${json({ alg: 'HS256', typ: 'JWT', kid: keys[0].kid })}.${parts(token)[1]}`;
    for (const secret of secrets) {
      const signature = createHmac('sha256', secret).update(content).digest('base64url');
      expect(await status(`${content}.${signature}`)).toBe(401);
    }
  });

  it('of another server is refused, even by the same account id', async () => {
    const other = await startTestServer();
    try {
      const forged = await makeTokens(other.context).then((tokens) =>
        tokens.issue({ id: server.accounts.apiAdmin.id, role: 'apiAdmin', epoch: 0 }),
      );
      expect(await status(forged.token)).toBe(401);
      // The same database key id, but the other server's name.
      const misnamed = await makeTokens({ ...server.context, serverId: other.context.serverId });
      const { token } = await misnamed.issue({ id: server.accounts.apiAdmin.id, role: 'apiAdmin', epoch: 0 });
      expect(await status(token)).toBe(401);
    } finally {
      await other.close();
    }
  });

  it('of another process of this server is taken, also after a restart', async () => {
    const { token } = await (await otherProcess()).issue({ id: server.accounts.operator.id, role: 'operator', epoch: 0 });
    expect(await status(token)).toBe(200);
    server = await server.restart();
    expect(await status(token)).toBe(200);
  });

  it('counts for nothing once its account is disabled, erased or has a new password', async () => {
    const { operator, validator, companion } = server.accounts;
    const [disabled, changed, erased] = [
      await server.token('operator'),
      await server.token('validator'),
      await server.token('companion'),
    ];
    await server.request('apiAdmin', 'updateUser', { params: { account: operator.id }, body: { disabled: true } });
    await server.request('apiAdmin', 'updateUser', {
      params: { account: validator.id },
      body: { password: 'another long phrase' },
    });
    expect((await server.request('apiAdmin', 'eraseUser', { params: { account: companion.id } })).statusCode).toBe(204);
    for (const token of [disabled, changed, erased]) expect(await status(token)).toBe(401);
    await server.request('apiAdmin', 'updateUser', { params: { account: operator.id }, body: { disabled: false } });
    expect(await status(disabled)).toBe(401);
    expect(await status(await server.token('operator'))).toBe(200);
  });

  it('has the role that the account has now, not when it was made', async () => {
    const token = await server.token('admin');
    await server.request('apiAdmin', 'updateUser', { params: { account: server.accounts.admin.id }, body: { role: 'none' } });
    const answer = await server.request(undefined, 'listLeases', { headers: { authorization: `Bearer ${token}` } });
    expect(answer.statusCode).toBe(403);
  });
});

describe('a token of another process', () => {
  it('is not too early where clocks differ by half a minute, and is refused beyond', async () => {
    for (const [ahead, expected] of [
      [30, 200],
      [31, 401],
    ] as const) {
      server.clock.advance(ahead);
      const token = await server.token('operator');
      server.clock.advance(-ahead);
      expect(await status(token)).toBe(expected);
    }
  });
});

describe('the keys of tokens', () => {
  it('come with a statement that the pinned key signed', async () => {
    await server.token('operator');
    const { keys, statement } = await jwks();
    const trusted = [server.context.keys.signing.publicKey.toString()];
    const said = readStatement('jwks', statement, { trusted, server: server.context.serverId });
    expect(said.keys).toEqual(keys);
    expect(keys).toHaveLength(1);
  });

  it('change every day; the one before is published until its last token is over', async () => {
    const kid = async () => decodeProtectedHeader(await server.token('operator')).kid;
    const before = await kid();
    server.clock.advance(86_399);
    expect(await kid()).toBe(before);
    const last = await server.token('operator');
    server.clock.advance(1);
    expect(await kid()).not.toBe(before);
    expect((await jwks()).keys).toHaveLength(2);
    server.clock.advance(850);
    expect(await status(last)).toBe(200);
    server.clock.advance(200);
    expect((await jwks()).keys).toHaveLength(1);
  });
});

describe('a database that was restored under a running server', () => {
  const forget = () => server.context.db.deleteFrom('token_keys').execute();
  const kidOf = (token: string) => decodeProtectedHeader(token).kid;
  const published = async (): Promise<unknown[]> => (await jwks()).keys.map(({ kid }: { kid: string }) => kid);

  it('knows the key of a token before the token is handed out', async () => {
    await server.token('operator');
    await forget();
    const token = await server.token('operator');
    expect(await published()).toEqual([kidOf(token)]);
    expect(await status(token)).toBe(200);
  });

  it('has the last word on a key that this process still remembers', async () => {
    const token = await server.token('operator');
    expect(await status(token)).toBe(200);
    await forget();
    expect(await status(token)).toBe(401);
    await server.token('operator');
    expect(await status(token)).toBe(200);
  });

  it('keeps the keys of every process that goes on', async () => {
    const other = await otherProcess();
    const issue = () => other.issue({ id: server.accounts.operator.id, role: 'operator', epoch: 0 });
    await issue();
    await server.token('operator');
    await forget();
    const { token: theirs } = await issue();
    const own = await server.token('operator');
    expect(new Set(await published())).toEqual(new Set([kidOf(theirs), kidOf(own)]));
    expect([await status(theirs), await status(own)]).toEqual([200, 200]);
  });
});

describe('HS256', () => {
  it('takes a secret of 32 bytes, publishes nothing, and takes no EdDSA', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'guard-secrets-'));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'model_guard_token_secret'), 'x'.repeat(32));
    const shared = await startTestServer({ config: { tokens: 'hs256', secretsFolder: folder } });
    try {
      const token = await shared.token('operator');
      expect(decodeProtectedHeader(token)).toEqual({ alg: 'HS256', typ: 'JWT' });
      expect((await ask(token, shared)).statusCode).toBe(200);
      expect((await shared.request(undefined, 'jwks')).json().keys).toEqual([]);
      expect((await ask(await server.token('operator'), shared)).statusCode).toBe(401);
      const claims = { ...decodeJwt(token) };
      const sign = (secret: string, more: object = {}) =>
        new SignJWT({ ...claims, ...more }).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(secret));
      expect((await ask(await sign('x'.repeat(32)), shared)).statusCode).toBe(200);
      expect((await ask(await sign('y'.repeat(32)), shared)).statusCode).toBe(401);
      for (const wrong of [
        { aud: 'others' },
        { iss: '0'.repeat(32) },
        { sub: 'apiAdmin' },
        { sub: "' OR 1=1 --" },
        { jti: 'x' },
        { exp: shared.clock.now + 1e6, iat: shared.clock.now - 1e5 },
        { iat: shared.clock.now + 100, exp: shared.clock.now + 1000 },
        { exp: undefined },
        { iat: undefined },
        { jti: undefined },
        { aud: undefined },
        { role: undefined },
        { nbf: shared.clock.now + 10 },
      ])
        expect((await ask(await sign('x'.repeat(32), wrong), shared)).statusCode, JSON.stringify(wrong)).toBe(401);
    } finally {
      await shared.close();
      await rm(folder, { recursive: true });
    }
  });

  it('does not start with a shorter secret', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'guard-secrets-'));
    await writeFile(join(folder, 'model_guard_token_secret'), 'x'.repeat(31));
    await expect(startTestServer({ config: { tokens: 'hs256', secretsFolder: folder } })).rejects.toThrow(/fewer than 32 bytes/);
    await rm(folder, { recursive: true });
  });

  it.each([{ host: '0.0.0.0' }, { behindProxy: true }])(
    'are not signed with a published secret where other machines reach the server: %o',
    async (where) => {
      await expect(startTestServer({ config: { tokens: 'hs256', ...where } })).rejects.toThrow(/development secret/);
    },
  );
});
