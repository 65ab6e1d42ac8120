/**
 * Ends of leases: revocation, at once with the server and at offline-until without it. A lease does not come back by another
 * server, or by a state, version or server that was set back.
 */
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { load, type ModelGuardErrorCode, verifyAuditLog } from '@org/model-guard';
import { describe, expect, it } from 'vitest';
import { clientOf } from '../support/clients.js';
import {
  admin,
  advanceTime,
  anotherServer,
  bigsOf,
  DAY,
  expectLoads,
  expectRefusal,
  HOUR,
  LabDevice,
  lab,
  openCopied,
  plain,
  publish,
  publishers,
  useLeaseLab,
} from '../support/lease-lab.js';
import { entitle } from '../support/story.js';

useLeaseLab('leases that ended');

describe('revocation', () => {
  const ways: [string, ModelGuardErrorCode, (a: LabDevice) => Promise<unknown>][] = [
    ['the device', 'DEVICE_REVOKED', (a) => admin().devices.revoke(a.id)],
    ['the entitlement', 'NOT_AUTHORISED', () => admin().entitlements.delete(lab.entitlement)],
    ['the version', 'NOT_RELEASED', () => admin().revoke('net@1')],
    [
      'the account',
      'NOT_AUTHENTICATED',
      () => clientOf(lab.server, { role: 'apiAdmin' }).users.update(lab.server.accounts.operator.id, { disabled: true }),
    ],
  ];

  it.each(ways)('of %s: at once with the server; without it at offline-until', async (_what, code, revoke) => {
    const [near, far] = [await LabDevice.ready(), await LabDevice.ready()];
    const guard = near.guard();
    const { offlineUntil } = await far.guard().lease('net@1');
    const big = await bigsOf(guard);
    for (const bench of [near, far]) await expectLoads({ small: bench.away(), big });
    await revoke(near);
    if (code === 'DEVICE_REVOKED') await revoke(far);

    // A client that holds a token, and a new one.
    for (const client of [guard, near.guard()]) {
      await expectRefusal(code, () => client.lease('net@1'));
      await expectRefusal(code, () => load('net@1', { from: client }));
    }
    // The device that was told has forgotten its lease; an account that may not log in says nothing about leases.
    if (code !== 'NOT_AUTHENTICATED')
      await expectRefusal('SERVER_UNREACHABLE', () => load('net@1', { from: { small: near.away(), big } }));
    // The device that could not be told goes on for the agreed time, and no longer.
    advanceTime(offlineUntil - lab.server.clock.now);
    await expectLoads({ small: far.away(), big });
    advanceTime(1);
    await expectRefusal('LEASE_EXPIRED', () => load('net@1', { from: { small: far.away(), big } }));
    await expectRefusal(code, () => load('net@1', { from: far.guard() }));
  });

  it('of the lease frees its seat at once; what the device kept ends at offline-until', async () => {
    await admin().entitlements.delete(lab.entitlement);
    await entitle(lab.server, 'operator', { name: 'net', seats: 1, leaseSeconds: DAY, offlineSeconds: HOUR });
    const [a, b] = [await LabDevice.ready(), await LabDevice.ready()];
    const lease = await a.guard().lease('net@1');
    const big = await bigsOf(a.guard());
    await expectRefusal('SEATS_TAKEN', () => b.guard().lease('net@1'));
    const current = (await a.guard().lease('net@1')).id;
    await admin().leases.revoke(current);
    await expectLoads(b.guard());
    await expectRefusal('SEATS_TAKEN', () => a.guard().lease('net@1'));
    await expectLoads({ small: a.away(), big });
    advanceTime(lease.offlineUntil + 1 - lab.server.clock.now);
    await expectRefusal('LEASE_EXPIRED', () => load('net@1', { from: { small: a.away(), big } }));
  });
});

describe('another server', () => {
  it('gives leases that this one’s devices do not take', async () => {
    const other = await anotherServer();
    const a = await LabDevice.ready();
    const elsewhere = clientOf(other, { device: a.key, state: join(lab.folder, 'elsewhere'), publishers });
    const { device, fingerprint } = await elsewhere.enroll('the same device');
    await clientOf(other, { role: 'admin' }).devices.approve(device.id, fingerprint);
    const small = await elsewhere.getSmall({ name: 'net', version: '1' });
    const big = await bigsOf(elsewhere);
    await expectRefusal('LEASE_UNTRUSTED', () => openCopied(small, a, big));
    using model = await openCopied(small, a, big, other.context.keys.signing.publicKey);
    expect(Buffer.compare(model.bytes, plain)).toBe(0);
    // In the place of the pinned one.
    await expectRefusal('SERVER_UNTRUSTED', () => a.guard({ url: other.url }).lease('net@1'));
    await expectRefusal('SERVER_UNTRUSTED', () =>
      load('net@1', { from: new LabDevice('operator', a.clock).guard({ url: other.url }) }),
    );
    // The kept state of one is not the other's.
    await a.guard().lease('net@1');
    const [file = ''] = readdirSync(a.stateFolder);
    const [, generation = ''] = file.split('.');
    renameSync(join(a.stateFolder, file), join(a.stateFolder, `${other.context.serverId}.${generation}`));
    await expectRefusal('INTEGRITY_FAILED', () => a.away().lease('net@1'));
  });
});

describe('going back', () => {
  it('a state that was changed is found; one that was put back opens no longer than before', async () => {
    const a = await LabDevice.ready();
    const first = await a.guard().lease('net@1');
    const big = await bigsOf(a.guard());
    const earlier = join(lab.folder, 'earlier');
    cpSync(a.stateFolder, earlier, { recursive: true });
    advanceTime(HOUR / 2);
    const second = await a.guard().lease('net@1');
    expect(second.offlineUntil).toBeGreaterThan(first.offlineUntil);
    advanceTime(HOUR / 2 + 1);
    await expectLoads({ small: a.away(), big });
    rmSync(a.stateFolder, { recursive: true });
    cpSync(earlier, a.stateFolder, { recursive: true });
    await expectRefusal('LEASE_EXPIRED', () => load('net@1', { from: { small: a.away(), big } }));

    const [file = ''] = readdirSync(a.stateFolder);
    const path = join(a.stateFolder, file);
    const sealed = readFileSync(path);
    for (const at of [0, 12, sealed.length >> 1, sealed.length - 1]) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(path, changed);
      await expectRefusal('INTEGRITY_FAILED', () => a.away().lease('net@1'));
      await expectRefusal('INTEGRITY_FAILED', () => a.guard().lease('net@1'));
    }
  });

  it('an older version than the device has had is refused, until it is told to accept it', async () => {
    const a = await LabDevice.ready();
    await publish(lab.server, '2');
    await expectLoads(a.guard(), 'net');
    expect((await a.guard().lease('net')).version).toBe('2');
    await expectRefusal('ROLLBACK_REFUSED', () => a.guard().lease('net@1'));
    const { payloadId } = await admin().models.get('net@1');
    await admin().release('net@1', { payloadId, rollback: 'accept' });
    await expectRefusal('ROLLBACK_REFUSED', () => a.guard().lease('net'));
    await expectRefusal('ROLLBACK_REFUSED', () => load('net', { from: a.guard() }));
    await expectLoads(a.guard({ rollback: 'accept' }), 'net');
  });

  it('a server that was put back to a backup is reported by a client that has seen more, and the export shows it', async () => {
    await entitle(lab.server, 'admin', { name: 'net', seats: 10 });
    const a = await LabDevice.ready('admin');
    await a.guard().lease('net@1');
    const backup = join(lab.folder, 'backup');
    await stopped();
    cpSync(lab.server.folder, backup, { recursive: true });

    await restarted();
    await publish(lab.server, '2');
    await a.guard().lease('net');
    const kept = await a.guard().audit.checkpoint();

    await stopped();
    for (const name of readdirSync(lab.server.folder)) rmSync(join(lab.server.folder, name), { recursive: true });
    cpSync(backup, lab.server.folder, { recursive: true });
    await restarted();
    const key = lab.server.context.keys.audit.publicKey;
    const log = () => buffer(admin().audit.export());
    for (const client of [a.guard(), a.guard({ rollback: 'accept' })]) {
      await expectRefusal('AUDIT_LOG_ROLLED_BACK', () => client.lease('net@1'));
      await expectRefusal('AUDIT_LOG_ROLLED_BACK', () => client.audit.checkpoint());
      await expectRefusal('AUDIT_LOG_ROLLED_BACK', () => load('net@1', { from: client }));
    }
    await expectRefusal('AUDIT_LOG_TRUNCATED', async () => verifyAuditLog(await log(), { checkpoint: kept, key }));
    // A client that has not seen more has nothing to report.
    const b = await LabDevice.ready();
    await expectLoads(b.guard());

    // It grows beyond the kept position: the numbers are plausible again, the history is another one.
    while ((await admin().audit.checkpoint()).seq <= kept.seq);
    await expectRefusal('AUDIT_LOG_BROKEN', async () => verifyAuditLog(await log(), { checkpoint: kept, key }));
  });
});

async function stopped(): Promise<void> {
  await lab.server.app.close();
  await lab.server.context.db.destroy();
}
async function restarted(): Promise<void> {
  lab.server = await lab.server.restart();
  await lab.server.listen();
}
