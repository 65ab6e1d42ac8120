/** Leases: a small part for one device, for a time, as the entitlement allows. */
import { decode } from '@org/model-guard/server-kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { call } from '../../../src/native/index.js';
import { times } from '../../src/leases/lease-issuer.js';
import { outcomeOf } from '../support/outcomes.js';
import type { TestServer } from '../support/server.js';
import {
  entitle,
  type Grant,
  leasesOf,
  Machine,
  Publisher,
  startScene,
  type TestContainer,
  takeLease,
  termsOf,
} from '../support/story.js';

let server: TestServer;
let publisher: Publisher;
let machine: Machine;
let made: TestContainer;

beforeEach(async () => {
  ({ server, publisher, machine, made } = await startScene());
});
afterEach(() => server.close());

const policyOf = ({ small }: Grant) => call((native) => native.inspect(decode(small))).slots.map(({ policy }) => policy);

describe('a lease', () => {
  it('opens the model on its device, and says so signed', async () => {
    await entitle(server, 'operator', { leaseSeconds: 600, offlineSeconds: 60 });
    const grant = await takeLease(machine);
    const now = server.clock.now;
    const statement = termsOf(server, grant);
    expect(statement).toEqual({
      kind: 'lease',
      server: server.context.serverId,
      time: now,
      lease: statement.lease,
      device: machine.id,
      name: 'defects',
      version: '1',
      ordinal: 1,
      payloadId: made.bigName.slice(0, 32),
      notBefore: now - 120,
      notAfter: now + 600,
      offlineUntil: now + 60,
      publishers: [publisher.key.publicKey.toString()],
    });
    const { lease: leaseId, device: deviceId, notBefore, notAfter, offlineUntil } = statement;
    expect(policyOf(grant)).toEqual([{ leaseId, deviceId, notBefore, notAfter, offlineUntil }]);
    expect(await machine.open(server, grant, made.big, publisher.key)).toEqual(made.plain);
    expect(grant.checkpoint?.logId).toBe(server.context.logId);
    expect(grant.big).toMatchObject({ name: made.bigName, size: made.big.length, expires: now + server.config.partUrlSeconds });
  });

  it('opens nothing on another device', async () => {
    await entitle(server, 'operator');
    const grant = await takeLease(machine);
    await expect(new Machine(server).open(server, grant, made.big, publisher.key)).rejects.toMatchObject({
      code: 'NO_MATCHING_IDENTITY',
    });
  });

  it('brings URLs of both halves that need no token', async () => {
    await server.listen();
    await entitle(server, 'operator');
    const { big } = await takeLease(machine);
    expect(new Uint8Array(await (await fetch(big.url)).arrayBuffer())).toEqual(made.big);
    expect(new Uint8Array(await (await fetch(big.treeUrl ?? '')).arrayBuffer())).toEqual(made.tree);
  });

  it('is of the newest released version, unless another released one is asked for', async () => {
    await entitle(server, 'operator');
    await publisher.publish({ version: '2' });
    const pending = new Publisher(server, 'operator');
    Object.assign(pending, { key: publisher.key });
    await pending.publish({ version: '3' });
    expect(termsOf(server, await takeLease(machine))).toMatchObject({ version: '2', ordinal: 2 });
    expect(termsOf(server, await takeLease(machine, { version: '1' }))).toMatchObject({ version: '1', ordinal: 1 });
    expect(outcomeOf(await machine.take({ name: 'defects', version: '3' }))).toBe('409 NOT_RELEASED');
    expect(outcomeOf(await machine.take({ name: 'defects', version: '4' }))).toBe('404 NOT_FOUND');
    await server.request('admin', 'revokeVersion', { params: { name: 'defects', version: '2' }, body: {} });
    expect(outcomeOf(await machine.take({ name: 'defects', version: '2' }))).toBe('409 NOT_RELEASED');
    expect(termsOf(server, await takeLease(machine)).version).toBe('1');
  });

  it('is not of a version whose publisher is not trusted any more', async () => {
    await entitle(server, 'operator');
    await new Publisher(server).register();
    expect(outcomeOf(await machine.take({ name: 'defects' }))).toBe('409 SIGNATURE_INVALID');
    expect(await leasesOf(server)).toEqual([]);
  });
});

describe('times', () => {
  const terms = { lease_seconds: 600, offline_seconds: 60, not_after: null } as Parameters<typeof times>[0];
  it('are bounded by the entitlement, whatever is asked', () => {
    expect(times(terms, undefined, 10_000)).toEqual({ not_before: 9880, not_after: 10_600, offline_until: 10_060 });
    expect(times(terms, 9999, 10_000).not_after).toBe(10_600);
    expect(times(terms, 30, 10_000)).toEqual({ not_before: 9880, not_after: 10_030, offline_until: 10_030 });
    expect(times({ ...terms, not_after: 10_020 }, undefined, 10_000)).toMatchObject({ not_after: 10_020, offline_until: 10_020 });
    expect(times({ ...terms, offline_seconds: 0 }, undefined, 10_000).offline_until).toBe(10_000);
  });
});

describe('the entitlement', () => {
  it('must be there, for this model, this account and this device', async () => {
    expect(outcomeOf(await machine.take({ name: 'defects' }))).toBe('403 NOT_AUTHORISED');
    await entitle(server, 'companion');
    await entitle(server, 'operator', { kind: 'archive' });
    await entitle(server, 'operator', { name: 'defects-2' });
    const other = await Machine.ready(server);
    await entitle(server, 'operator', { device: other.id });
    expect(outcomeOf(await machine.take({ name: 'defects' }))).toBe('403 NOT_AUTHORISED');
    expect(outcomeOf(await other.take({ name: 'defects' }))).toBe('201');
  });

  it('holds within its time', async () => {
    const now = server.clock.now;
    await entitle(server, 'operator', { notBefore: now + 100, notAfter: now + 200 });
    expect(outcomeOf(await machine.take({ name: 'defects' }))).toBe('403 NOT_AUTHORISED');
    server.clock.now = now + 100;
    expect(termsOf(server, await takeLease(machine))).toMatchObject({ notAfter: now + 200, offlineUntil: now + 200 });
    server.clock.now = now + 200;
    expect(outcomeOf(await machine.take({ name: 'defects' }))).toBe('403 NOT_AUTHORISED');
  });

  it('takes its leases along when it goes', async () => {
    const { id } = await entitle(server, 'operator');
    await takeLease(machine);
    const params = { entitlement: id };
    expect(outcomeOf(await server.request('admin', 'deleteEntitlement', { params }))).toBe('204');
    expect(outcomeOf(await server.request('admin', 'deleteEntitlement', { params }))).toBe('404 NOT_FOUND');
    expect(await leasesOf(server, { active: 'true' })).toEqual([]);
    expect(outcomeOf(await machine.take({ name: 'defects' }))).toBe('403 NOT_AUTHORISED');
  });

  it('names an account and a device of it that exist', async () => {
    const create = (body: object) =>
      server.request('admin', 'createEntitlement', { body: { name: 'defects', ...body } as never });
    const account = server.accounts.operator.id;
    expect(outcomeOf(await create({ account: '0'.repeat(32) }))).toBe('404 NOT_FOUND');
    expect(outcomeOf(await create({ account, device: '0'.repeat(32) }))).toBe('404 NOT_FOUND');
    expect(outcomeOf(await create({ account: server.accounts.companion.id, device: machine.id }))).toBe('404 NOT_FOUND');
    const wrong = await create({ account, notBefore: 200, notAfter: 100 });
    expect(outcomeOf(wrong)).toBe('400 INVALID_ARGUMENT');
    expect(wrong.json().error.path).toBe('notAfter');
    await machine.revoke();
    expect(outcomeOf(await create({ account, device: machine.id }))).toBe('403 DEVICE_REVOKED');
  });

  it('is listed by account and name', async () => {
    await entitle(server, 'operator');
    await entitle(server, 'companion', { seats: 7 });
    const list = async (query: object) =>
      (await server.request('admin', 'listEntitlements', { query: { limit: 100, ...query } })).json().items;
    expect((await list({})).length).toBe(2);
    expect(await list({ account: server.accounts.companion.id })).toMatchObject([{ kind: 'model', name: 'defects', seats: 7 }]);
    expect(await list({ name: 'nothing' })).toEqual([]);
  });
});

describe('around leases', () => {
  it('revoking a version revokes its leases', async () => {
    await entitle(server, 'operator');
    await takeLease(machine);
    await server.request('admin', 'revokeVersion', { params: { name: 'defects', version: '1' }, body: {} });
    expect(await leasesOf(server, { active: 'true' })).toEqual([]);
    expect(outcomeOf(await machine.take({ name: 'defects' }))).toBe('409 NOT_RELEASED');
  });

  it('replacing a version leaves its leases, and new ones are of the new payload', async () => {
    await entitle(server, 'operator');
    const before = await takeLease(machine);
    const next = await publisher.make();
    await publisher.upload(next);
    await publisher.commit(next, { overwrite: true });
    expect((await leasesOf(server, { active: 'true' })).length).toBe(1);
    expect(await machine.open(server, before, made.big, publisher.key)).toEqual(made.plain);
    const after = await takeLease(machine);
    expect(termsOf(server, after)).toMatchObject({ ordinal: 2, payloadId: next.bigName.slice(0, 32) });
    expect(await machine.open(server, after, next.big, publisher.key)).toEqual(next.plain);
  });

  it('a rotation of keys does not disturb them', async () => {
    await entitle(server, 'operator');
    const rotating = server.request('apiAdmin', 'rotateKeys', { body: { acceptSeconds: 0 } });
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => machine.take({ name: 'defects' })));
    expect(outcomes.map(outcomeOf)).toEqual(Array.from({ length: 10 }, () => '201'));
    expect(outcomeOf(await rotating)).toBe('202');
    expect(await machine.open(server, await takeLease(machine), made.big, publisher.key)).toEqual(made.plain);
  });

  it('forgets challenges that are over, and leases long after', async () => {
    await entitle(server, 'operator');
    await machine.begin();
    await takeLease(machine);
    server.clock.now += 61;
    await machine.begin();
    await server.context.cleanup.run();
    const challenges = await server.context.db.selectFrom('challenges').selectAll().execute();
    expect(challenges.length).toBe(1);
    server.clock.now += 100 * 86_400;
    const { lease } = termsOf(server, await takeLease(machine));
    await server.context.cleanup.run();
    expect((await leasesOf(server)).map(({ id }) => id)).toEqual([lease]);
  });

  it('are written down, granted or refused', async () => {
    expect(outcomeOf(await machine.take({ name: 'defects' }))).toBe('403 NOT_AUTHORISED');
    await entitle(server, 'operator');
    await machine.take({ name: 'defects' }, { deviceId: 'ab'.repeat(16) });
    await takeLease(machine);
    const events = await server.context.db
      .selectFrom('audit')
      .select(['outcome', 'resource', 'subject'])
      .where('action', '=', 'leases.take')
      .orderBy('seq')
      .execute();
    const { subject } = server.accounts.operator;
    expect(events).toEqual([
      { outcome: 'denied', resource: 'model:defects', subject },
      { outcome: 'denied', resource: 'model:defects', subject },
      { outcome: 'success', resource: 'model:defects@1', subject },
    ]);
  });
});
