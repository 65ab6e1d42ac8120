/**
 * Leases and fragments take a while to sign: rights that end meanwhile are noticed. If these fail, a revoked device gets one more
 * lease.
 */
import { SigningKey } from '@org/model-guard';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { readRights } from '../../src/accounts/rights.js';
import { exportLines } from '../../src/audit/query.js';
import type { Caller } from '../../src/base/caller.js';
import { outcomeOf } from '../support/outcomes.js';
import { type Actor, expectSuccess, LEASED, rightsLab } from '../support/rights-lab.js';
import { auditEvents } from '../support/server.js';

const lab = rightsLab();
const { ENDS, actorOf, ask, beforeTransaction, proven, ready, lease, unlock } = lab;

describe('what is granted to a device, and ends before it is answered', () => {
  /** `id`: of the device. */
  const ENDINGS: Readonly<Record<string, readonly [string, (actor: Actor, machine: string) => Promise<unknown>]>> = {
    'the account is disabled': ['401 NOT_AUTHENTICATED', ENDS.disabled.end],
    'the account is demoted': ['403 NOT_AUTHORISED', ENDS.demoted.end],
    'the account is erased': ['401 NOT_AUTHENTICATED', ENDS.erased.end],
    'the device is revoked': [
      '403 DEVICE_REVOKED',
      async (_actor, device) =>
        expectSuccess(await lab.server.request('admin', 'revokeDevice', { params: { device }, body: {} })),
    ],
    'the entitlement is deleted': [
      '403 NOT_AUTHORISED',
      async ({ id: account }) => {
        const query = { account, limit: 10 };
        const [found] = (await lab.server.request('admin', 'listEntitlements', { query })).json().items;
        expectSuccess(await lab.server.request('admin', 'deleteEntitlement', { params: { entitlement: found.id } }));
      },
    ],
  };
  const OF_MODELS: typeof ENDINGS = {
    ...ENDINGS,
    'the publisher is removed': [
      '409 SIGNATURE_INVALID',
      async () => {
        const keys = [SigningKey.generate().publicKey.toString()];
        const before = (await lab.server.request('admin', 'getPublishers', { params: { name: LEASED } })).json();
        expectSuccess(await lab.server.request('admin', 'setPublishers', { params: { name: LEASED }, body: { keys } }));
        onTestFinished(async () => {
          expectSuccess(await lab.server.request('admin', 'setPublishers', { params: { name: LEASED }, body: before }));
        });
      },
    ],
    // Its leases end with it: the version is the reason that helps.
    'the version is revoked': [
      '409 NOT_RELEASED',
      async () => {
        const [found] = (await lab.server.request('admin', 'listVersions', { query: { name: LEASED, limit: 1 } })).json().items;
        expectSuccess(
          await lab.server.request('validator', 'revokeVersion', { params: { name: LEASED, version: found.version }, body: {} }),
        );
        onTestFinished(async () => {
          await lab.server.context.db.updateTable('versions').set({ state: 'released' }).where('name', '=', LEASED).execute();
        });
      },
    ],
    'the version is not released any more': [
      '409 NOT_RELEASED',
      async () => {
        const state = (to: 'released' | 'rejected') =>
          lab.server.context.db.updateTable('versions').set({ state: to }).where('name', '=', LEASED).execute();
        await state('rejected');
        onTestFinished(async () => {
          await state('released');
        });
      },
    ],
  };

  it.each(Object.keys(OF_MODELS))('is not answered as a lease: %s', async (why) => {
    const [status, end] = OF_MODELS[why] as (typeof OF_MODELS)[string];
    const actor = await actorOf('operator');
    const asking = await lease(actor);
    const { device } = asking.body as { device: string };
    // The checkpoint that goes with a lease is made anew, in a transaction: after that of the seat.
    lab.server.clock.advance(10);
    beforeTransaction(2, () => end(actor, device));
    expect(outcomeOf(await ask(actor, 'takeLease', asking))).toBe(status);
    const active = await lab.server.context.db
      .selectFrom('leases')
      .selectAll()
      .where('device', '=', device)
      .where('revoked', '=', 0)
      .execute();
    expect(active).toEqual([]);
  });

  it.each(Object.keys(ENDINGS))('is not answered as a fragment: %s', async (why) => {
    const [status, end] = ENDINGS[why] as (typeof ENDINGS)[string];
    const actor = await actorOf('operator');
    const asking = await unlock(actor);
    const { device, name } = asking.body as { device: string; name: string };
    lab.server.clock.advance(10);
    beforeTransaction(2, () => end(actor, device));
    const answer = await ask(actor, 'unlockArchive', asking);
    expect(outcomeOf(answer)).toBe(status);
    expect(answer.body).not.toContain('fragment');
    const query = { resource: `archive:${name}`, action: 'archives.unlock' } as const;
    const [newest] = await auditEvents(lab.server, query);
    expect(newest).toMatchObject({ outcome: 'denied' });
  });

  it('is answered where the device has taken another lease of the model meanwhile', async () => {
    const actor = await actorOf('operator');
    const machine = await ready(actor, 'model', LEASED);
    const [first, second] = [await proven(actor, machine, LEASED), await proven(actor, machine, LEASED)];
    const { keys } = lab.server.context;
    const newest = keys.newest.bind(keys);
    // When the seat is taken, and the lease is about to be signed.
    const spy = vi.spyOn(keys, 'newest').mockImplementationOnce(async (connection) => {
      expectSuccess(await ask(actor, 'takeLease', second));
      return await newest(connection);
    });
    onTestFinished(() => spy.mockRestore());
    expect(outcomeOf(await ask(actor, 'takeLease', first))).toBe('201');
  });
});

describe('an export of the audit log', () => {
  it('breaks off where the account loses its rights', async () => {
    const actor = await actorOf('admin');
    const { subject } = await lab.server.context.db
      .selectFrom('users')
      .select('subject')
      .where('id', '=', actor.id)
      .executeTakeFirstOrThrow();
    const caller: Caller = {
      account: { id: actor.id, subject, role: 'admin' },
      rights: { epoch: 0, access: 'audit.read' },
      address: '',
      request: 'r',
    };
    const lines = exportLines(
      lab.server.context,
      () => readRights(lab.server.context.db, caller),
      (task) => task(),
    );
    expect((await lines.next()).done).toBe(false);
    await ENDS.demoted.end(actor);
    await expect(lines.next()).rejects.toMatchObject({ code: 'NOT_AUTHORISED' });
  });
});
