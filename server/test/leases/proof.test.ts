/** Leases need a proof: an approved device of the caller that signed this very request, once, within a minute. */
import { PROOF_HEADER } from '@org/model-guard/server-kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { outcomeOf } from '../support/outcomes.js';
import type { TestServer } from '../support/server.js';
import {
  entitle,
  flipped,
  leasesOf,
  Machine,
  type ProofOverrides,
  signRequest,
  startScene,
  takeLease,
} from '../support/story.js';

let server: TestServer;
let machine: Machine;

beforeEach(async () => {
  ({ server, machine } = await startScene());
});
afterEach(() => server.close());

describe('the proof', () => {
  beforeEach(() => entitle(server, 'operator'));

  it.each<[string, ProofOverrides]>([
    ['another server', { serverId: 'ab'.repeat(16) }],
    ['another challenge', { challenge: Buffer.alloc(32).toString('base64url') }],
    ['another device', { deviceId: 'cd'.repeat(16) }],
    ['another body', { body: { name: 'defects', seconds: 1 } }],
  ])('must not be for %s', async (_what, lies) => {
    expect(outcomeOf(await machine.take({ name: 'defects' }, lies))).toBe('403 PROOF_INVALID');
  });

  it('must be by the device itself, over every byte of the body', async () => {
    const { key } = new Machine(server);
    expect(outcomeOf(await machine.take({ name: 'defects' }, { key }))).toBe('403 PROOF_INVALID');
    const body = { device: machine.id, challenge: await machine.begin(), name: 'defects' };
    const headers = { [PROOF_HEADER]: signRequest(server, machine.key, body), 'content-type': 'application/json' };
    const spaced = Buffer.from(`${JSON.stringify(body)} `);
    expect(outcomeOf(await server.request('operator', 'takeLease', { body: spaced, headers }))).toBe('403 PROOF_INVALID');
  });

  it('is used once, whether it holds or not', async () => {
    const body = { device: machine.id, challenge: await machine.begin(), name: 'defects' };
    const proof = signRequest(server, machine.key, body);
    const send = (signature: string) => server.request('operator', 'takeLease', { body, headers: { [PROOF_HEADER]: signature } });
    expect(outcomeOf(await send(flipped(proof)))).toBe('403 PROOF_INVALID');
    expect(outcomeOf(await send(proof))).toBe('403 PROOF_INVALID');
    const challenge = await machine.begin();
    expect(outcomeOf(await machine.take({ name: 'defects', challenge }))).toBe('201');
    expect(outcomeOf(await machine.take({ name: 'defects', challenge }))).toBe('403 PROOF_INVALID');
  });

  it('is used up by a refusal too', async () => {
    const challenge = await machine.begin();
    expect(outcomeOf(await machine.take({ name: 'unknown', challenge }))).toBe('403 NOT_AUTHORISED');
    expect(outcomeOf(await machine.take({ name: 'defects', challenge }))).toBe('403 PROOF_INVALID');
  });

  it('lives for a minute', async () => {
    const [early, late] = [await machine.begin(), await machine.begin()];
    server.clock.now += 59;
    expect(outcomeOf(await machine.take({ name: 'defects', challenge: early }))).toBe('201');
    server.clock.now += 2;
    expect(outcomeOf(await machine.take({ name: 'defects', challenge: late }))).toBe('403 PROOF_INVALID');
  });

  it('answers a challenge of this account, for this', async () => {
    const other = new Machine(server, 'companion');
    expect(outcomeOf(await machine.take({ name: 'defects', challenge: await other.begin() }))).toBe('403 PROOF_INVALID');
    const { challenge } = await machine.challenge();
    expect(outcomeOf(await machine.take({ name: 'defects', challenge }))).toBe('403 PROOF_INVALID');
  });

  it('is missing, or no signature: refused before anything', async () => {
    const body = { device: machine.id, challenge: await machine.begin(), name: 'defects' };
    expect(outcomeOf(await server.request('operator', 'takeLease', { body }))).toBe('400 INVALID_ARGUMENT');
    const headers = { [PROOF_HEADER]: 'AAAA' };
    expect(outcomeOf(await server.request('operator', 'takeLease', { body, headers }))).toBe('400 INVALID_ARGUMENT');
  });
});

describe('the device', () => {
  beforeEach(() => entitle(server, 'operator'));

  it('must be enrolled, approved, not revoked, and of the account that asks', async () => {
    const fresh = new Machine(server);
    expect(outcomeOf(await fresh.take({ name: 'defects' }))).toBe('404 NOT_FOUND');
    await fresh.enrol();
    expect(outcomeOf(await fresh.take({ name: 'defects' }))).toBe('403 DEVICE_NOT_APPROVED');
    await fresh.approve();
    expect(outcomeOf(await fresh.take({ name: 'defects' }))).toBe('201');
    await fresh.revoke();
    expect(outcomeOf(await fresh.take({ name: 'defects' }))).toBe('403 DEVICE_REVOKED');

    const thief = new Machine(server, 'companion');
    Object.assign(thief, { key: machine.key, publicKey: machine.publicKey, id: machine.id });
    await entitle(server, 'companion');
    expect(outcomeOf(await thief.take({ name: 'defects' }))).toBe('404 NOT_FOUND');
    // Not even an administrator takes a lease with a device of another account.
    Object.assign(thief, { role: 'admin' });
    await entitle(server, 'admin');
    expect(outcomeOf(await thief.take({ name: 'defects' }))).toBe('404 NOT_FOUND');
  });

  it('loses its leases and its seat when it is revoked', async () => {
    await takeLease(machine);
    await machine.revoke();
    expect(await leasesOf(server, { active: 'true' })).toEqual([]);
    expect(outcomeOf(await (await Machine.ready(server)).take({ name: 'defects' }))).toBe('201');
  });
});
