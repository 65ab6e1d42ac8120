/**
 * Why a kept lease does not serve while the server is away. If these fail, users look for a fault in the network where the reason lies in
 * what their device keeps.
 */
import { describe, expect, it } from 'vitest';
import { load, type ModelGuardError, SigningKey } from '../../src/index.js';
import { failureOf } from '../support/failures.js';
import { type FakeClient, type FakeClientOptions, fakeClient } from '../support/fake-client.js';
import { failure } from '../support/fake-guard.js';
import { useTrustLab } from '../support/trust-lab.js';

const { fake, stranger, newState, client } = useTrustLab('kept-leases');
const AWAY = 'http://127.0.0.1:1';

/** A device that took these leases, one after the other, and cannot reach the server now. */
async function afterwards(taken: readonly string[], more: Partial<FakeClientOptions> = {}): Promise<FakeClient> {
  const state = newState();
  const { guard, device } = client({ state, rollback: 'accept' });
  for (const ref of taken) await guard.lease(ref);
  return fakeClient(fake, { state, device, url: AWAY, ...more });
}

const NOT_REACHED = /was not reached \(ECONNREFUSED\)/;

describe('without the server the error says why no kept lease serves, and why the server gives none:', () => {
  it.each<[string, string, () => Promise<FakeClient>, RegExp]>([
    ['it is of another version', 'net@1', () => afterwards(['net@0']), /the last one, and that is of net@0/],
    ['it is of another model', 'other@1', () => afterwards(['net@1']), /keeps no lease of other/],
    ['it is of another model, and no version is named', 'other', () => afterwards(['net@1']), /keeps no lease of other/],
    ['there is none', 'net@1', () => afterwards([]), /keeps nothing of a server with the pinned key \(serverKey\)/],
    [
      'another key is pinned now',
      'net@1',
      () => afterwards(['net@1'], { serverKey: stranger.publicKey }),
      /keeps nothing of a server with the pinned key \(serverKey\)/,
    ],
  ])('%s', async (_, ref, ready, why) => {
    const { guard } = await ready();
    for (const task of [() => guard.lease(ref), () => load(ref, { from: guard })]) {
      const error = await failureOf(task);
      expect(error.code).toBe('SERVER_UNREACHABLE');
      expect(error.message).toMatch(why);
      expect(error.message).toMatch(NOT_REACHED);
      expect((error.cause as ModelGuardError).message).toMatch(NOT_REACHED);
    }
  });

  it('a key that is pinned no more signed it', async () => {
    const next = SigningKey.generate();
    const said = { kind: 'succession', server: fake.id, time: 1, next: next.publicKey.toString() } as const;
    fake.on('server', () => ({ json: { server: fake.say(fake.serverStatement()), succession: [fake.say(said)] } }));
    const { guard } = await afterwards(['net@1'], { serverKey: next.publicKey });
    const error = await failureOf(() => guard.lease('net@1'));
    expect(error.message).toMatch(/signed by a key that is not pinned any more \(serverKey\)/);
    expect((error.cause as ModelGuardError).message).toMatch(NOT_REACHED);
  });

  it('it has been good until its offline-until, with the version named or not', async () => {
    const one = await afterwards(['net@1']);
    one.clock.wall = fake.now + 3601;
    for (const ref of ['net@1', 'net']) {
      const error = await failureOf(() => one.guard.lease(ref));
      expect(error.code).toBe('LEASE_EXPIRED');
      expect((error.cause as ModelGuardError).message).toMatch(NOT_REACHED);
    }
  });

  it('it is older than a version that the device has had', async () => {
    const { guard } = await afterwards(['net@1', 'net@0'], { rollback: undefined });
    const error = await failureOf(() => guard.lease('net@0'));
    expect(error.code).toBe('ROLLBACK_REFUSED');
    expect((error.cause as ModelGuardError).message).toMatch(NOT_REACHED);
  });

  it('the part of the model that is at the server says why the server was not reached', async () => {
    const { guard } = await afterwards(['net@1']);
    // Its address has ended, and only the server gives another.
    fake.on('readPart', () => failure(403, 'NOT_AUTHORISED'));
    const error = await failureOf(() => load('net@1', { from: guard, cache: false }));
    expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE', message: expect.stringMatching(/big part of net@1/) });
    expect((error.cause as ModelGuardError).message).toMatch(NOT_REACHED);
  });
});

it('the code and the wanted pause of a server that limits the rate stay', async () => {
  const { guard, pace } = client();
  fake.on('takeLease', () => failure(429, 'RATE_LIMITED', 'no', { 'retry-after': '2' }));
  const error = await failureOf(() => guard.lease('net@1'));
  expect(error.code).toBe('RATE_LIMITED');
  expect(error.message).toMatch(/No kept lease opens net@1: .*a pause of 2 s/);
  expect(pace.pauses).toEqual([2200, 2400, 2800]);
});
