/** Leases and fragments take a while to sign: what ends meanwhile is not granted. If these fail, a revoked device gets one more lease. */
import { SigningKey } from '@org/model-guard';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { exportLines } from '../../src/audit/query.js';
import type { Caller } from '../../src/context.js';
import { type Actor, LEASED, must, rightsLab } from '../support/rights-lab.js';
import { said } from '../support/story.js';

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
      async (_actor, device) => must(await lab.server.request('admin', 'revokeDevice', { params: { device }, body: {} })),
    ],
    'the entitlement is deleted': [
      '403 NOT_AUTHORISED',
      async ({ id: account }) => {
        const query = { account, limit: 10 };
        const [found] = (await lab.server.request('admin', 'listEntitlements', { query })).json().items;
        must(await lab.server.request('admin', 'deleteEntitlement', { params: { entitlement: found.id } }));
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
        must(await lab.server.request('admin', 'setPublishers', { params: { name: LEASED }, body: { keys } }));
        onTestFinished(async () => {
          must(await lab.server.request('admin', 'setPublishers', { params: { name: LEASED }, body: before }));
        });
      },
    ],
    // Its leases end with it: the version is the reason that helps.
    'the version is revoked': [
      '409 NOT_RELEASED',
      async () => {
        const [found] = (await lab.server.request('admin', 'listVersions', { query: { name: LEASED, limit: 1 } })).json().items;
        must(
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
    expect(said(await ask(actor, 'takeLease', asking))).toBe(status);
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
    expect(said(answer)).toBe(status);
    expect(answer.body).not.toContain('fragment');
    const query = { resource: `archive:${name}`, action: 'archives.unlock' } as const;
    const [newest] = (await lab.server.request('apiAdmin', 'auditEvents', { query })).json().items;
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
      must(await ask(actor, 'takeLease', second));
      return await newest(connection);
    });
    onTestFinished(() => spy.mockRestore());
    expect(said(await ask(actor, 'takeLease', first))).toBe('201');
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
    const lines = exportLines(lab.server.context, caller, (task) => task());
    expect((await lines.next()).done).toBe(false);
    await ENDS.demoted.end(actor);
    await expect(lines.next()).rejects.toMatchObject({ code: 'NOT_AUTHORISED' });
  });
});
