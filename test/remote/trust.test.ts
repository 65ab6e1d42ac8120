/** The statements and tokens that a client believes. In each case another party poses as the server. */
import { SignJWT } from 'jose';
import { describe, expect, it, vi } from 'vitest';
import type { Statement, StatementBody } from '../../src/contract/index.js';
import { type GuardServer, load, SigningKey } from '../../src/index.js';
import { codeOf } from '../support/failures.js';
import { fakeClient } from '../support/fake-client.js';
import { FakeGuard, randomHex } from '../support/fake-guard.js';
import { lease, useTrustLab } from '../support/trust-lab.js';

const { fake, plain, stranger, newState, client, lying } = useTrustLab('trust');
const forged = (statement: Statement): Statement => ({ ...statement, payload: `${statement.payload.slice(0, -4)}AAAA` });

describe('the truth', () => {
  it('opens', async () => {
    using loaded = await load('net', { from: client().guard });
    expect(Buffer.compare(loaded.bytes, plain)).toBe(0);
  });
});

describe('a server statement', () => {
  const stating = (statement: (said: StatementBody<'server'>) => Statement, succession: Statement[] = []): void =>
    fake.on('server', () => ({ json: { server: statement(fake.serverStatement()), succession } }));
  const facts = (guard: GuardServer) => guard.server();

  it.each<[string, (said: StatementBody<'server'>) => Statement, string]>([
    ['by a stranger', (said) => fake.say(said, stranger), 'SERVER_UNTRUSTED'],
    ['by a stranger, under the pinned key', (said) => ({ ...fake.say(said, stranger), key: fake.serverKey }), 'SERVER_UNTRUSTED'],
    [
      'of another kind',
      () => fake.say({ kind: 'latest', server: fake.id, time: fake.now, name: 'a', version: '1', ordinal: 1 }),
      'RESPONSE_INVALID',
    ],
    ['of another server', (said) => fake.say({ ...said, server: randomHex(16) }), 'SERVER_UNTRUSTED'],
    ['of yesterday', (said) => fake.say({ ...said, time: fake.now - 86_400 }), 'CLOCK_SKEWED'],
    [
      'without a current key',
      (said) => fake.say({ ...said, keys: said.keys.map((key) => ({ ...key, state: 'retiring' })) }),
      'RESPONSE_INVALID',
    ],
  ])('%s is refused', async (_, statement, code) => {
    stating(statement);
    expect(await codeOf(() => facts(client().guard))).toBe(code);
  });

  it('whose payload was changed is refused', async () => {
    stating((said) => forged(fake.say({ ...said, logId: 'a'.repeat(32) })));
    expect(['SERVER_UNTRUSTED', 'RESPONSE_INVALID']).toContain(await codeOf(() => facts(client().guard)));
  });

  it('by the successor that the pinned key named is believed, and by nobody that a stranger named', async () => {
    const next = SigningKey.generate();
    const said = { kind: 'succession', server: fake.id, time: 1, next: next.publicKey.toString() } as const;
    stating((statement) => fake.say(statement, next), [fake.say(said)]);
    const { guard } = client();
    expect((await facts(guard)).signingKeys).toEqual([fake.serverKey, next.publicKey.toString()]);
    stating((statement) => fake.say(statement, next), [fake.say(said, stranger)]);
    expect(await codeOf(() => facts(client().guard))).toBe('SERVER_UNTRUSTED');
    stating((statement) => fake.say(statement, next), [{ ...fake.say(said, stranger), key: fake.serverKey }]);
    expect(await codeOf(() => facts(client().guard))).toBe('SERVER_UNTRUSTED');
    // From before the pinned key: true, and of no use to us.
    stating((statement) => fake.say(statement), [fake.say({ ...said, next: fake.serverKey }, stranger)]);
    expect((await facts(client().guard)).signingKeys).toEqual([fake.serverKey]);
  });

  it('a successor is remembered without the server, as long as the key that named it is pinned', async () => {
    const next = SigningKey.generate();
    const said = { kind: 'succession', server: fake.id, time: 1, next: next.publicKey.toString() } as const;
    stating((statement) => fake.say(statement, next), [fake.say(said)]);
    lying(() => ({}), next);
    const state = newState();
    const { guard, device } = client({ state });
    await guard.lease('net@1');
    const away = fakeClient(fake, { state, device, url: 'http://127.0.0.1:1' });
    expect((await away.guard.lease('net@1')).source).toBe('kept');
    const elsewhere = fakeClient(fake, { state, device, url: 'http://127.0.0.1:1', serverKey: stranger.publicKey });
    expect(await codeOf(() => lease(elsewhere))).toBe('SERVER_UNREACHABLE');
  });

  it('a key from before the one that is pinned now is not believed because it is remembered', async () => {
    const next = SigningKey.generate();
    const said = { kind: 'succession', server: fake.id, time: 1, next: next.publicKey.toString() } as const;
    stating((statement) => fake.say(statement, next), [fake.say(said)]);
    lying(() => ({}), next);
    const state = newState();
    const { guard, device } = client({ state, credentials: undefined });
    await guard.lease('net@1');
    const moved = () => client({ state, device, serverKey: next.publicKey, credentials: undefined });
    // The old one, which somebody else may have by now.
    stating((statement) => fake.say(statement));
    lying(() => ({}));
    vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    expect((await lease(moved())).source).toBe('kept');
    vi.restoreAllMocks();
  });
});

describe('a token', () => {
  const answering = (token: string): void =>
    fake.on('token', () => ({ json: { token, expires: fake.now + 900, mustChangePassword: false } }));
  const asking = () => codeOf(() => client().guard.login());

  it('by another key, for another audience, by another server, or over is refused', async () => {
    const other = new FakeGuard();
    answering(await other.token({ iss: fake.id }));
    expect(await asking()).toBe('SERVER_UNTRUSTED');
    answering(await fake.token({ aud: 'somebody-else' }));
    expect(await asking()).toBe('SERVER_UNTRUSTED');
    answering(await fake.token({ iss: randomHex(16) }));
    expect(await asking()).toBe('SERVER_UNTRUSTED');
    answering(await fake.token({ exp: fake.now - 121 }));
    expect(await asking()).toBe('CLOCK_SKEWED');
  });

  it('without a signature, with the public key as secret, or that is none is refused', async () => {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const [, claims = ''] = (await fake.token()).split('.');
    answering(`${part({ alg: 'none' })}.${claims}.`);
    expect(await asking()).toBe('SERVER_UNTRUSTED');
    const { keys } = await fake.jwks();
    const secret = Buffer.from(String(keys[0]?.x), 'base64url');
    answering(await new SignJWT({}).setProtectedHeader({ alg: 'HS256', kid: 'one' }).setIssuer(fake.id).sign(secret));
    expect(await asking()).toBe('SERVER_UNTRUSTED');
    answering('no token');
    expect(await asking()).toBe('SERVER_UNTRUSTED');
  });

  it('is checked against keys that the pinned key signed, never against the bare set', async () => {
    const other = new FakeGuard();
    const { keys } = await other.jwks();
    const token = await other.token({ iss: fake.id });
    answering(token);
    const said = { kind: 'jwks', server: fake.id, time: fake.now, keys } as const;
    fake.on('jwks', () => ({ json: { keys, statement: fake.say(said as never, stranger) } }));
    expect(await asking()).toBe('SERVER_UNTRUSTED');
    fake.on('jwks', () => ({ json: { keys } }));
    expect(await asking()).toBe('SERVER_UNTRUSTED');
    fake.on('jwks', async () => {
      const own = (await fake.jwks()).keys;
      return { json: { keys, statement: fake.say({ kind: 'jwks', server: fake.id, time: fake.now, keys: own }) } };
    });
    expect(await asking()).toBe('SERVER_UNTRUSTED');
  });

  it('is opaque where the server’s statement says so', async () => {
    answering('opaque');
    fake.on('jwks', () => ({ json: { keys: [] } }));
    fake.on('server', () => ({ json: { server: fake.say(fake.serverStatement({ tokens: 'HS256' })), succession: [] } }));
    expect((await client().guard.login()).mustChangePassword).toBe(false);
  });

  it('is opaque where the signed key set is empty, also to accounts that may not read the server’s statement', async () => {
    answering('opaque');
    fake.on('server', () => ({ status: 403, json: { error: { code: 'NOT_AUTHORISED', message: 'no', request: 'r' } } }));
    fake.on('jwks', () => ({
      json: { keys: [], statement: fake.say({ kind: 'jwks', server: fake.id, time: fake.now, keys: [] }) },
    }));
    expect((await client().guard.login()).mustChangePassword).toBe(false);
    fake.on('jwks', () => ({ json: { keys: [] } }));
    expect(await codeOf(() => client().guard.login())).toBe('NOT_AUTHORISED');
  });
});
