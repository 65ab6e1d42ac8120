/**
 * The statements about leases that a device believes: each case is a server that says one thing and hands out another, or is not
 * there.
 */
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Statement } from '../../src/contract/index.js';
import { load, memoryStore } from '../../src/index.js';
import { codeOf } from '../support/failures.js';
import { type FakeClient, fakeClient } from '../support/fake-client.js';
import { failure, type Model, randomHex } from '../support/fake-guard.js';
import { lease, useTrustLab } from '../support/trust-lab.js';

const { base, fake, plain, stranger, newState, client, grant, lying } = useTrustLab('trust-leases');
const AWAY = 'http://127.0.0.1:1';
const stored = (bytes: Uint8Array) => ({
  size: bytes.length,
  stream: async function* () {
    yield bytes.slice();
  },
  tree: () => new Uint8Array(0),
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
    const { small } = fake.models.get('net@1') as Model;
    fake.on('takeLease', async (asked) => ({
      status: 201,
      json: { ...(await grant(asked)), small: Buffer.from(small).toString('base64url') },
    }));
    expect(await codeOf(() => lease(client()))).toBe('RESPONSE_INVALID');
  });

  it('of no time without the server opens with it alone', async () => {
    lying(() => ({ offlineSeconds: -60 }));
    const { guard, device } = client();
    const bigs = memoryStore();
    const { bigName, big } = fake.models.get('net@1') as Model;
    await bigs.putBig({ name: 'net', version: '1' }, bigName, stored(big));
    using model = await load('net@1', { from: { small: guard, big: bigs } });
    expect(model.bytes.length).toBe(plain.length);
    // The same bytes in a store are never renewed.
    const copy = memoryStore();
    await copy.putSmall({ name: 'net', version: '1' }, await guard.getSmall({ name: 'net', version: '1' }));
    const opening = { identities: [device], verifier: fake.publisher.publicKey, leaseKeys: fake.serverKey };
    expect(await codeOf(() => load('net@1', { from: { small: copy, big: bigs }, ...opening }))).toBe('LEASE_EXPIRED');
    fake.on('takeLease', () => failure(503, 'SERVER_FAILED'));
    expect(await codeOf(() => load('net@1', { from: { small: guard, big: bigs } }))).toBe('LEASE_EXPIRED');
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

describe('a kept lease, while the server is away,', () => {
  const HOUR = 3600;
  it('opens until its offline-until and not a second longer, with the version named or not', async () => {
    const state = newState();
    const one = client({ state });
    const { offlineUntil } = await one.guard.lease('net@1');
    // With the big part beside it: only the lease decides.
    const ref = { name: 'net', version: '1' };
    const big = memoryStore();
    const part = fake.models.get('net@1') as Model;
    await big.putBig(ref, part.bigName, {
      size: part.big.length,
      stream: async function* () {
        yield part.big;
      },
      tree: () => new Uint8Array(),
    });
    const away = client({ state, device: one.device, url: AWAY });
    const opens = async (name: string): Promise<boolean> => {
      try {
        (await load(name, { from: { small: away.guard, big }, cache: false })).dispose();
        return true;
      } catch (error) {
        expect(['LEASE_EXPIRED', 'SERVER_UNREACHABLE']).toContain((error as { code?: string }).code);
        return false;
      }
    };
    away.clock.wall = offlineUntil;
    expect([await opens('net@1'), await opens('net')]).toEqual([true, true]);
    for (const after of [1, HOUR]) {
      away.clock.wall = offlineUntil + after;
      expect([await opens('net@1'), await opens('net')]).toEqual([false, false]);
      expect(await codeOf(() => away.guard.lease('net@1'))).toBe('LEASE_EXPIRED');
    }
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
    // It was for that call alone.
    for (const ref of ['net@0', 'net']) expect(await codeOf(() => guard.lease(ref)), ref).toBe('ROLLBACK_REFUSED');
    await guard.lease('net@1');
  });

  it('are asked for with the ordinal that the device has had, unless a rollback is accepted', async () => {
    const state = newState();
    const { guard, device } = client({ state });
    await guard.lease('net@1');
    await codeOf(() => guard.lease('net@0'));
    await fakeClient(fake, { state, device, rollback: 'accept' }).guard.lease('net@0');
    await guard.lease('other@1');
    const asked = fake.asked.filter(({ name }) => name === 'takeLease').map(({ json }) => json.atLeast);
    expect(asked).toEqual([undefined, 7, undefined, undefined]);
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
    fake.on('takeLease', async (asked) => {
      const { checkpoint: _, ...rest } = await grant(asked);
      return { status: 201, json: rest };
    });
    expect(await codeOf(() => lease(one))).toBe('AUDIT_LOG_ROLLED_BACK');
  });

  it('whose checkpoint another key signed is not believed', async () => {
    fake.on('takeLease', async (asked) => ({
      status: 201,
      json: { ...(await grant(asked)), checkpoint: fake.checkpoint({}, fake.signing) },
    }));
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

  it('that grew past what was seen must hold it still, by the word of the server', async () => {
    const one = client();
    await lease(one);
    const seen = { seq: fake.seq, head: fake.head };
    fake.seq = 25;
    fake.head = 'cd'.repeat(48);
    const said = { kind: 'history', server: fake.id, time: fake.now, logId: fake.logId, ...seen } as const;
    const answers: [string, () => Statement | undefined, string][] = [
      ['no word', () => undefined, 'AUDIT_LOG_ROLLED_BACK'],
      ['of an earlier event', () => fake.say({ ...said, seq: 9 }), 'AUDIT_LOG_ROLLED_BACK'],
      ['of another head', () => fake.say({ ...said, head: 'ef'.repeat(48) }), 'AUDIT_LOG_ROLLED_BACK'],
      ['of another log', () => fake.say({ ...said, logId: randomHex(16) }), 'AUDIT_LOG_ROLLED_BACK'],
      ['of yesterday', () => fake.say({ ...said, time: fake.now - 86_400 }), 'CLOCK_SKEWED'],
      ['another kind', () => fake.say(fake.serverStatement()), 'RESPONSE_INVALID'],
    ];
    for (const [what, history, code] of answers) {
      fake.on('takeLease', async (asked) => ({ status: 201, json: { ...(await grant(asked)), history: history() } }));
      expect(await codeOf(() => lease(one)), what).toBe(code);
    }
    // By a stranger: it is not the server that answers.
    vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    fake.on('takeLease', async (asked) => ({
      status: 201,
      json: { ...(await grant(asked)), history: fake.say(said, stranger) },
    }));
    expect((await lease(one)).source).toBe('kept');
    vi.restoreAllMocks();
    fake.on('takeLease', () => failure(409, 'AUDIT_LOG_ROLLED_BACK'));
    expect(await codeOf(() => lease(one))).toBe('AUDIT_LOG_ROLLED_BACK');
    fake.on('takeLease', async (asked) => {
      // The position that it names is signed with the request.
      expect(asked.json.checkpoint).toEqual(seen);
      return await fake.usual(asked);
    });
    await lease(one);
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
    fake.on('takeLease', async (asked) => {
      const mine = first;
      first = false;
      fake.seq += 1;
      const answer = await grant(asked);
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
  const away = (one: FakeClient, state: string): FakeClient => fakeClient(fake, { state, device: one.device, url: AWAY });

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
      expect((await lease(away(one, state))).source).toBe('kept');
      fake.on('takeLease', () => failure(status, code));
      expect(await codeOf(() => lease(one))).toBe(code);
      expect(await codeOf(() => lease(away(one, state)))).toBe('SERVER_UNREACHABLE');
      fake.restore();
    }
  });

  it('a refusal is none of a server that is away because it also limits log-ins', async () => {
    const one = client();
    await lease(one);
    fake.on('takeLease', () => failure(403, 'NOT_AUTHORISED'));
    fake.on('token', () => ({ status: 429, json: {}, headers: { 'retry-after': '60' } }));
    expect(await codeOf(() => lease(one))).toBe('NOT_AUTHORISED');
  });

  it('what this machine itself cannot find ends nothing', async () => {
    const state = newState();
    const one = client({ state });
    await lease(one);
    const credentials = { file: path.join(base, 'not-mounted') };
    expect(await codeOf(() => lease(client({ state, device: one.device, credentials })))).toBe('NOT_FOUND');
    expect((await lease(away(one, state))).source).toBe('kept');
  });

  it.each([429, 500, 502, 503])('a server that answers %i is as good as none', async (status) => {
    const one = client();
    await lease(one);
    fake.on('takeLease', () => ({ status, json: {} }));
    expect((await lease(one)).source).toBe('kept');
  });
});
