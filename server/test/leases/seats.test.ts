/** Seats: leases at the same time are never more than were sold, and never fewer for want of giving one back. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { call } from '../../../src/native/index.js';
import type { LeaseTable } from '../../src/database/schema.js';
import { giveSeatBack, takeSeat } from '../../src/leases/seats.js';
import { outcomeOf } from '../support/outcomes.js';
import type { TestServer } from '../support/server.js';
import { entitle, leasesOf, Machine, type Publisher, startScene, takeLease, termsOf } from '../support/story.js';

let server: TestServer;
let publisher: Publisher;
let machine: Machine;

beforeEach(async () => {
  ({ server, publisher, machine } = await startScene());
});
afterEach(() => server.close());

describe('seats', () => {
  const bench = (count: number) => Promise.all(Array.from({ length: count }, () => Machine.ready(server)));

  it('are as many as were sold, and renewing takes none', async () => {
    await entitle(server, 'operator', { seats: 2 });
    const [one, two, three] = (await bench(3)) as [Machine, Machine, Machine];
    const first = termsOf(server, await takeLease(one));
    await takeLease(two);
    expect(outcomeOf(await three.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
    const renewed = termsOf(server, await takeLease(one));
    expect(renewed.lease).not.toBe(first.lease);
    const active = await leasesOf(server, { active: 'true' });
    expect(active.map(({ device }) => device).sort()).toEqual([one.id, two.id].sort());
    expect((await leasesOf(server, { active: 'false' })).map(({ id }) => id)).toEqual([first.lease]);
    expect(outcomeOf(await three.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
  });

  it('are free again when a lease ends or is revoked', async () => {
    await entitle(server, 'operator', { leaseSeconds: 600 });
    const [one, two] = (await bench(2)) as [Machine, Machine];
    const { lease } = termsOf(server, await takeLease(one));
    expect(outcomeOf(await two.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
    expect(outcomeOf(await server.request('admin', 'revokeLease', { params: { lease } }))).toBe('204');
    expect(outcomeOf(await two.take({ name: 'defects' }))).toBe('201');
    // The entitlement decides about the next lease, and there is no seat left.
    expect(outcomeOf(await one.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
    server.clock.now += 599;
    expect(outcomeOf(await one.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
    server.clock.now += 1;
    expect(outcomeOf(await one.take({ name: 'defects' }))).toBe('201');
    expect(outcomeOf(await server.request('admin', 'revokeLease', { params: { lease: '0'.repeat(32) } }))).toBe('404 NOT_FOUND');
  });

  it('are held by a lease that the device may have kept, whatever shorter one it asks for then', async () => {
    await entitle(server, 'operator', { leaseSeconds: 86_400, offlineSeconds: 86_400 });
    const [one, two] = (await bench(2)) as [Machine, Machine];
    await takeLease(one);
    await takeLease(one, { seconds: 1 });
    server.clock.now += 3600;
    const [held] = await leasesOf(server, { active: 'true' });
    expect(held).toMatchObject({ device: one.id, revoked: false, seatUntil: server.clock.now - 3600 + 86_400 });
    expect(outcomeOf(await two.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
    await takeLease(one);
    expect((await leasesOf(server, { active: 'true' })).length).toBe(1);
    server.clock.now += 86_400;
    expect(outcomeOf(await two.take({ name: 'defects' }))).toBe('201');
  });

  it('are never more, with twenty devices at once', async () => {
    await entitle(server, 'operator', { seats: 3 });
    const devices = await bench(20);
    const outcomes = (await Promise.all(devices.map((device) => device.take({ name: 'defects' })))).map(outcomeOf);
    expect(outcomes.filter((outcome) => outcome === '201').length).toBe(3);
    expect(outcomes.filter((outcome) => outcome === '409 SEATS_TAKEN').length).toBe(17);
    expect((await leasesOf(server, { active: 'true' })).length).toBe(3);
  });

  it('are one for a device that asks twenty times at once', async () => {
    await entitle(server, 'operator');
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => machine.take({ name: 'defects' })));
    expect(outcomes.map(outcomeOf)).toEqual(Array.from({ length: 20 }, () => '201'));
    expect((await leasesOf(server, { active: 'true' })).length).toBe(1);
  });

  it('of several entitlements are used where one is free, and kept where the device sits', async () => {
    const [one, two, three] = (await bench(3)) as [Machine, Machine, Machine];
    await entitle(server, 'operator');
    await entitle(server, 'operator', { device: two.id });
    await takeLease(one);
    await takeLease(two);
    await takeLease(two);
    await takeLease(one);
    expect(outcomeOf(await three.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
    expect((await leasesOf(server, { active: 'true' })).length).toBe(2);
  });

  it('are given back when the small part cannot be issued, and the lease before stays', async () => {
    await entitle(server, 'operator');
    const { lease } = termsOf(server, await takeLease(machine));
    const { small } = await server.context.db.selectFrom('versions').select('small').executeTakeFirstOrThrow();
    const broken = Buffer.from(small);
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    // A byte of the mac, which lies before salt, commitment and payload.
    const { headerLength } = call((native) => native.inspect(small));
    broken[headerLength - 1] = (broken[headerLength - 1] ?? 0) ^ 1;
    await server.context.db.updateTable('versions').set({ small: broken }).execute();
    expect((await machine.take({ name: 'defects' })).statusCode).toBeGreaterThanOrEqual(400);
    expect((await leasesOf(server, { active: 'true' })).map(({ id }) => id)).toEqual([lease]);
    const other = await Machine.ready(server);
    expect(outcomeOf(await other.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
    await server.request('admin', 'revokeLease', { params: { lease } });
    expect((await other.take({ name: 'defects' })).statusCode).toBeGreaterThanOrEqual(400);
    expect(await leasesOf(server, { active: 'true' })).toEqual([]);
  });

  it('that are given back are in the log, however many refusals of the same account were only counted', async () => {
    await entitle(server, 'operator');
    await takeLease(machine);
    const other = await Machine.ready(server);
    for (let n = 0; n < 25; n++) expect(outcomeOf(await other.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
    vi.spyOn(server.context.parts.urls, 'sign').mockRejectedValue(new RangeError('no key'));
    expect((await machine.take({ name: 'defects' })).statusCode).toBe(500);
    vi.restoreAllMocks();
    const query = { action: 'leases.take', outcome: 'success', limit: 1 } as const;
    const [taken] = (await server.request('admin', 'auditEvents', { query })).json().items;
    const [, lost] = /lease ([0-9a-f]{32})$/.exec(taken.personal.detail) ?? [];
    const failures = { ...query, outcome: 'failure' } as const;
    const [returned] = (await server.request('admin', 'auditEvents', { query: failures })).json().items;
    expect(returned?.personal.detail).toBe(`lease ${lost} was not issued`);
  });

  it('have one live lease of a device, however often it asks for a shorter one', async () => {
    await entitle(server, 'operator', { leaseSeconds: 86_400, offlineSeconds: 86_400 });
    const end = server.clock.now + 86_400;
    for (let asked = 0; asked < 30; asked++) await takeLease(machine, { seconds: 86_400 - asked });
    expect((await leasesOf(server, { active: 'true' })).map(({ seatUntil }) => seatUntil)).toEqual([end]);
    server.clock.advance(86_401);
    await server.context.cleanup.run();
    expect((await leasesOf(server)).length).toBe(1);
    // Long after the end the row holds no seat any more, and the list of active leases does not read it.
    const seats = () => server.context.db.selectFrom('leases').select('seat_until').where('seat_until', '>', 0).execute();
    expect((await seats()).length).toBe(1);
    server.clock.advance(7 * 86_400);
    await server.context.cleanup.run();
    expect(await seats()).toEqual([]);
  });

  it('stay with a longer lease of another version when the version of the newest lease is revoked', async () => {
    await publisher.publish({ version: 'next' });
    await entitle(server, 'operator', { leaseSeconds: 86_400 });
    const other = await Machine.ready(server);
    await takeLease(machine, { version: '1' });
    await takeLease(machine, { version: 'next', seconds: 60 });
    const next = { params: { name: 'defects', version: 'next' }, body: {} };
    expect(outcomeOf(await server.request('admin', 'revokeVersion', next))).toBe('200');
    expect(outcomeOf(await other.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
    // The administrator can free it all the same.
    const [held] = await leasesOf(server, { active: 'true' });
    expect(outcomeOf(await server.request('admin', 'revokeLease', { params: { lease: held?.id ?? '' } }))).toBe('204');
    expect(outcomeOf(await other.take({ name: 'defects' }))).toBe('201');
  });

  it('are remembered for as long as they are held, long after the last lease of the device ended', async () => {
    const year = 31_536_000;
    await entitle(server, 'operator', { leaseSeconds: year });
    await takeLease(machine);
    await takeLease(machine, { seconds: 1 });
    server.clock.advance(year - 1);
    await server.context.cleanup.run();
    const other = await Machine.ready(server);
    expect(outcomeOf(await other.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
  });

  /** A lease like that of an answered one, taken and not answered yet. */
  const takeAgain = async (lease: string, more: Partial<LeaseTable>) => {
    const { db } = server.context;
    const before = await db.selectFrom('leases').selectAll().where('id', '=', lease).executeTakeFirstOrThrow();
    return await db.transaction().execute((trx) => takeSeat(trx, { ...before, ...more }));
  };
  const giveBack = (lease: string, superseded: readonly string[]) =>
    server.context.db.transaction().execute((trx) => giveSeatBack(trx, lease, superseded));

  it('given back revive no lease of a version that was revoked meanwhile', async () => {
    await entitle(server, 'operator');
    const { lease } = termsOf(server, await takeLease(machine));
    await publisher.publish({ version: 'next' });
    const superseded = await takeAgain(lease, { id: 'a'.repeat(32), version: 'next' });
    expect(superseded).toEqual([lease]);
    const params = { name: 'defects', version: '1' };
    expect(outcomeOf(await server.request('admin', 'revokeVersion', { params, body: {} }))).toBe('200');
    await giveBack('a'.repeat(32), superseded);
    expect(await leasesOf(server, { active: 'true' })).toEqual([]);
  });

  it('given back by two requests at once stay with the lease before both', async () => {
    await entitle(server, 'operator');
    const { lease, notAfter } = termsOf(server, await takeLease(machine));
    const [first, second] = ['a'.repeat(32), 'b'.repeat(32)];
    const before = await takeAgain(lease, { id: first, not_after: notAfter - 100 });
    const between = await takeAgain(lease, { id: second, not_after: notAfter - 200 });
    expect([before, between]).toEqual([[lease], [first]]);
    await giveBack(first, before);
    await giveBack(second, between);
    server.clock.now = notAfter - 1;
    const other = await Machine.ready(server);
    expect(outcomeOf(await other.take({ name: 'defects' }))).toBe('409 SEATS_TAKEN');
  });
});
