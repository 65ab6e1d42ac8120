/**
 * Where several things stand against a lease, the answer names the first of them (docs/server-protocol.md, section 4): clients decide by
 * it whether a kept lease ends. Here all of them stand against one request, and are cleared away one by one.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { outcomeOf } from '../support/outcomes.js';
import type { TestServer } from '../support/server.js';
import { entitle, Machine, Publisher, startScene, takeLease, termsOf } from '../support/story.js';

let server: TestServer;
let publisher: Publisher;
let first: Machine;

beforeEach(async () => {
  ({ server, publisher, machine: first } = await startScene());
});
afterEach(() => server.close());

it('the first reason is answered, down to the seat', async () => {
  // Version 2 is published, and revoked before anything is asked for. One seat is sold, and taken; then the publisher's key goes.
  await publisher.publish({ version: '2' });
  await server.request('admin', 'revokeVersion', { params: { name: 'defects', version: '2' }, body: {} });
  const { id: entitlement } = await entitle(server, 'operator', { device: first.id, seats: 1 });
  await takeLease(first);
  await new Publisher(server).register();

  const machine = new Machine(server);
  const checkpoint = { seq: 1, head: '0'.repeat(96) };
  const forged = { challenge: Buffer.alloc(32).toString('base64url') };
  const all = { name: 'defects', version: '9', atLeast: 99, checkpoint };
  expect(outcomeOf(await machine.take(all, forged))).toBe('404 NOT_FOUND');
  await machine.enrol();
  expect(outcomeOf(await machine.take(all, forged))).toBe('403 PROOF_INVALID');
  expect(outcomeOf(await machine.take(all))).toBe('403 DEVICE_NOT_APPROVED');
  await machine.approve();
  expect(outcomeOf(await machine.take(all))).toBe('409 AUDIT_LOG_ROLLED_BACK');
  expect(outcomeOf(await machine.take({ ...all, checkpoint: await position() }))).toBe('403 NOT_AUTHORISED');

  await server.request('admin', 'deleteEntitlement', { params: { entitlement } });
  await entitle(server, 'operator', { seats: 1 });
  await publisher.register();
  await takeLease(first);
  await new Publisher(server).register();
  expect(outcomeOf(await machine.take({ name: 'defects', version: '9', atLeast: 99 }))).toBe('404 NOT_FOUND');
  expect(outcomeOf(await machine.take({ name: 'defects', version: '2', atLeast: 99 }))).toMatch(/^\d+ NOT_RELEASED$/);
  expect(outcomeOf(await machine.take({ name: 'defects', version: '1', atLeast: 99 }))).toMatch(/^\d+ ROLLBACK_REFUSED$/);
  expect(outcomeOf(await machine.take({ name: 'defects', version: '1' }))).toMatch(/^\d+ SIGNATURE_INVALID$/);
  await publisher.register();
  expect(outcomeOf(await machine.take({ name: 'defects', version: '1' }))).toBe('409 SEATS_TAKEN');

  // A revoked device learns of it, whatever else is wrong with its request.
  await machine.revoke();
  expect(outcomeOf(await machine.take(all))).toBe('403 DEVICE_REVOKED');
});

it('a new lease ends the earlier one of its device and model, also of another version', async () => {
  await publisher.publish({ version: '2' });
  await entitle(server, 'operator', { seats: 2 });
  const earlier = termsOf(server, await takeLease(first, { version: '1' }));
  const later = termsOf(server, await takeLease(first, { version: '2' }));
  const items = (await server.request('admin', 'listLeases', { query: { limit: 100 } })).json().items;
  const revoked = Object.fromEntries(items.map(({ id, revoked }: { id: string; revoked: boolean }) => [id, revoked]));
  expect(revoked).toEqual({ [earlier.lease]: true, [later.lease]: false });
});

/** Where the log is now, in hex, as a device names it. */
async function position(): Promise<{ seq: number; head: string }> {
  const { seq, head } = (await server.request('admin', 'auditCheckpoint')).json();
  return { seq, head };
}
