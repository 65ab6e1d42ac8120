/** Who may speak for the server. Each case is somebody who is not the server, or a server that says one thing and hands out another. */
import path from 'node:path';
import { SignJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Said, Statement } from '../../src/contract/index.js';
import { type GuardServer, load, SigningKey } from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { type FakeClient, fakeClient } from '../support/fake-client.js';
import { FakeGuard, type Model, randomHex } from '../support/fake-guard.js';
import { seeded } from '../support/seed.js';
import { temporaryFolder } from '../support/temp.js';

const base = temporaryFolder('trust');
const random = seeded('trust');
const fake = new FakeGuard();
const stranger = SigningKey.generate();
const plain = random.bytes(200_000);
let model: Model;
let folders = 0;
beforeAll(async () => {
  await fake.listen();
  model = await fake.publish('net', '1', 7, plain);
  await fake.publish('net', '0', 3, plain);
  await fake.publish('other', '1', 1, plain);
});
afterAll(() => fake.close());
afterEach(() => {
  fake.restore();
  fake.seq = 10;
  fake.head = 'ab'.repeat(48);
});

const newState = (): string => path.join(base, `state-${folders++}`);
const client = (more = {}): FakeClient => fakeClient(fake, { state: newState(), ...more });
const codeOf = async (task: () => Promise<unknown>): Promise<string> => (await failureOf(task)).code;
const lease = ({ guard }: FakeClient): Promise<unknown> => guard.lease('net@1');

/** Answers a lease with lies. */
function lying(lies: (asked: { device: string }) => Parameters<FakeGuard['grant']>[2], key?: SigningKey): void {
  fake.on('takeLease', async ({ json }) => {
    const asked = json as { device: string; name: string; version: string };
    return { status: 201, json: await fake.grant(asked, fake.devices.get(asked.device) ?? '', lies(asked), key) };
  });
}
const forged = (statement: Statement): Statement => ({ ...statement, payload: `${statement.payload.slice(0, -4)}AAAA` });

describe('the truth', () => {
  it('opens', async () => {
    using loaded = await load('net', { from: client().guard });
    expect(Buffer.compare(loaded.bytes, plain)).toBe(0);
  });
});

describe('a server statement', () => {
  const stating = (statement: (said: Said<'server'>) => Statement, succession: Statement[] = []): void =>
    fake.on('server', () => ({ json: { server: statement(fake.serverStatement()), succession } }));
  const facts = (guard: GuardServer) => guard.server();

  it.each<[string, (said: Said<'server'>) => Statement, string]>([
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
    expect(await codeOf(() => lease(moved()))).toBe('SERVER_UNTRUSTED');
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

describe('a lease', () => {
  it.each<[string, () => void, string]>([
    ['by a stranger', () => lying(() => ({}), stranger), 'SERVER_UNTRUSTED'],
    ['by another server', () => lying(() => ({ said: { server: randomHex(16) } })), 'SERVER_UNTRUSTED'],
    ['for another device', () => lying(() => ({ said: { device: randomHex(16) } })), 'RESPONSE_INVALID'],
    ['of another model', () => lying(() => ({ said: { name: 'other' } })), 'RESPONSE_INVALID'],
    ['of another version', () => lying(() => ({ said: { version: '2' } })), 'RESPONSE_INVALID'],
    [
      'with the small part of another model',
      () => lying(() => ({ model: fake.models.get('other@1') as Model, said: { name: 'net', version: '1' } })),
      'RESPONSE_INVALID',
    ],
    ['with the small part of another lease', () => lying(() => ({ policy: { leaseId: randomHex(16) } })), 'RESPONSE_INVALID'],
    ['that ends later than its small part', () => lying(() => ({ said: { notAfter: fake.now + 1e6 } })), 'RESPONSE_INVALID'],
    [
      'that is longer offline than its small part',
      () => lying(() => ({ said: { offlineUntil: fake.now + 80_000 } })),
      'RESPONSE_INVALID',
    ],
    ['of yesterday', () => lying(() => ({ said: { time: fake.now - 86_400 } })), 'CLOCK_SKEWED'],
  ])('%s is refused, and not kept', async (_, lie, code) => {
    const one = client();
    lie();
    expect(await codeOf(() => lease(one))).toBe(code);
    fake.restore();
    fake.on('takeLease', (_asked, response) => {
      response.destroy();
      return undefined;
    });
    expect(await codeOf(() => lease(one))).toBe('SERVER_UNREACHABLE');
  });

  it('without a policy is refused: it would open for ever', async () => {
    fake.on('takeLease', async ({ json }) => {
      const asked = json as { device: string; name: string; version: string };
      const answer = await fake.grant(asked, fake.devices.get(asked.device) ?? '');
      return { status: 201, json: { ...answer, small: Buffer.from(model.small).toString('base64url') } };
    });
    expect(await codeOf(() => lease(client()))).toBe('RESPONSE_INVALID');
  });

  it('names publishers that nobody pinned: they are not trusted', async () => {
    lying(() => ({ said: { publishers: [stranger.publicKey.toString(), fake.publisher.publicKey.toString()] } }));
    expect(await codeOf(() => load('net@1', { from: client({ publishers: undefined }).guard }))).toBe('VERIFIER_REQUIRED');
    expect(await codeOf(() => load('net@1', { from: client({ publishers: stranger.publicKey }).guard }))).toBe(
      'SIGNATURE_INVALID',
    );
  });

  it('is asked for again with a new challenge when the answer is lost', async () => {
    fake.times(2, 'takeLease', (_, response) => {
      response.destroy();
      return undefined;
    });
    await lease(client());
    const challenges = fake.asked.filter(({ name }) => name === 'takeLease').map(({ json }) => json.challenge);
    expect(new Set(challenges).size).toBe(3);
  });
});

describe('versions', () => {
  it('older than one that the device has had are refused', async () => {
    const state = newState();
    const { guard, device } = client({ state });
    await guard.lease('net@1');
    expect(await codeOf(() => guard.lease('net@0'))).toBe('ROLLBACK_REFUSED');
    fake.on('latestVersion', () => ({
      json: fake.say({ kind: 'latest', server: fake.id, time: fake.now, name: 'net', version: '0', ordinal: 3 }),
    }));
    expect(await codeOf(() => guard.lease('net'))).toBe('ROLLBACK_REFUSED');
    const willing = fakeClient(fake, { state, device, rollback: 'accept' }).guard;
    expect((await willing.lease('net')).version).toBe('0');
  });

  it.each<[string, () => Statement, string]>([
    [
      'signed by a stranger',
      () => fake.say({ kind: 'latest', server: fake.id, time: fake.now, name: 'net', version: '1', ordinal: 7 }, stranger),
      'SERVER_UNTRUSTED',
    ],
    [
      'of yesterday',
      () => fake.say({ kind: 'latest', server: fake.id, time: fake.now - 86_400, name: 'net', version: '1', ordinal: 7 }),
      'CLOCK_SKEWED',
    ],
    [
      'of another model',
      () => fake.say({ kind: 'latest', server: fake.id, time: fake.now, name: 'other', version: '1', ordinal: 1 }),
      'RESPONSE_INVALID',
    ],
  ])('the newest, %s, is refused', async (_, statement, code) => {
    fake.on('latestVersion', () => ({ json: statement() }));
    expect(await codeOf(() => client().guard.latest('net'))).toBe(code);
  });
});

describe('the audit log', () => {
  it('that shrinks, changes its past, or is not shown any more is told', async () => {
    const one = client();
    await lease(one);
    fake.seq = 12;
    await lease(one);
    fake.seq = 11;
    expect(await codeOf(() => lease(one))).toBe('AUDIT_LOG_ROLLED_BACK');
    fake.seq = 12;
    fake.head = 'cd'.repeat(48);
    expect(await codeOf(() => lease(one))).toBe('AUDIT_LOG_ROLLED_BACK');
    fake.on('takeLease', async ({ json }) => {
      const asked = json as { device: string; name: string; version: string };
      const { checkpoint: _, ...rest } = await fake.grant(asked, fake.devices.get(asked.device) ?? '');
      return { status: 201, json: rest };
    });
    expect(await codeOf(() => lease(one))).toBe('AUDIT_LOG_ROLLED_BACK');
  });

  it('whose checkpoint another key signed is not believed', async () => {
    fake.on('takeLease', async ({ json }) => {
      const asked = json as { device: string; name: string; version: string };
      const answer = await fake.grant(asked, fake.devices.get(asked.device) ?? '');
      return { status: 201, json: { ...answer, checkpoint: fake.checkpoint({}, fake.signing) } };
    });
    expect(await codeOf(() => lease(client()))).toBe('SERVER_UNTRUSTED');
  });

  it('that tells two who ask at the same time two histories is found out', async () => {
    const one = client();
    await lease(one);
    let waiting: (() => void) | undefined;
    fake.seq += 1;
    fake.on('takeLease', async (asked) => {
      const second = waiting;
      if (!second)
        await new Promise<void>((resolve) => {
          waiting = resolve;
        });
      fake.head = (second ? 'ab' : 'cd').repeat(48);
      const reply = await fake.usual(asked);
      second?.();
      return reply;
    });
    const outcomes = await Promise.allSettled([lease(one), lease(one)]);
    const codes = outcomes.map((each) => (each.status === 'rejected' ? (each.reason as { code: string }).code : 'believed'));
    expect(codes.sort()).toEqual(['AUDIT_LOG_ROLLED_BACK', 'believed']);
  });

  it('is not blamed for answers that overtake each other', async () => {
    const one = client();
    await lease(one);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let first = true;
    let arrived = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    fake.on('takeLease', async ({ json }) => {
      const asked = json as { device: string; name: string; version: string };
      const mine = first;
      first = false;
      fake.seq += 1;
      const answer = await fake.grant(asked, fake.devices.get(asked.device) ?? '');
      if (mine) {
        arrived();
        await held;
      }
      return { status: 201, json: answer };
    });
    const slow = lease(one);
    await reached;
    await lease(one);
    release();
    await slow;
  });
});

describe('without the server', () => {
  const away = (url: string, one: FakeClient, state: string): FakeClient => fakeClient(fake, { state, device: one.device, url });

  it('what ended the lease ended what was kept of it', async () => {
    for (const [status, code] of [
      [403, 'DEVICE_REVOKED'],
      [403, 'NOT_AUTHORISED'],
      [409, 'NOT_RELEASED'],
      [404, 'NOT_FOUND'],
    ] as const) {
      const state = newState();
      const one = client({ state });
      await lease(one);
      expect(((await away('http://127.0.0.1:1', one, state).guard.lease('net@1')) as { source: string }).source).toBe('kept');
      fake.on('takeLease', () => ({ status, json: { error: { code, message: 'no', request: 'r' } } }));
      expect(await codeOf(() => lease(one))).toBe(code);
      expect(await codeOf(() => lease(away('http://127.0.0.1:1', one, state)))).toBe('SERVER_UNREACHABLE');
      fake.restore();
    }
  });

  it('a refusal is none of a server that is away because it also limits log-ins', async () => {
    const one = client();
    await lease(one);
    fake.on('takeLease', () => ({ status: 403, json: { error: { code: 'NOT_AUTHORISED', message: 'no', request: 'r' } } }));
    fake.on('token', () => ({ status: 429, json: {}, headers: { 'retry-after': '60' } }));
    expect(await codeOf(() => lease(one))).toBe('NOT_AUTHORISED');
  });

  it('what this machine itself cannot find ends nothing', async () => {
    const state = newState();
    const one = client({ state });
    await lease(one);
    const credentials = { file: path.join(base, 'not-mounted') };
    expect(await codeOf(() => lease(client({ state, device: one.device, credentials })))).toBe('NOT_FOUND');
    expect(((await away('http://127.0.0.1:1', one, state).guard.lease('net@1')) as { source: string }).source).toBe('kept');
  });

  it.each([429, 500, 502, 503])('a server that answers %i is as good as none', async (status) => {
    const one = client();
    await lease(one);
    fake.on('takeLease', () => ({ status, json: {} }));
    expect(((await lease(one)) as { source: string }).source).toBe('kept');
  });

  it('a server that is untrusted is not: what was kept stays closed', async () => {
    const one = client();
    await lease(one);
    lying(() => ({}), stranger);
    expect(await codeOf(() => lease(one))).toBe('SERVER_UNTRUSTED');
  });
});
