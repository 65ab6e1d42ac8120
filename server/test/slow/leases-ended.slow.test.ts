/**
 * What ends a lease: revocation, at once with the server and at offline-until without it; and what does not bring one back: another
 * server, a state, a version or a server that went back to how it was.
 */
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { load, type ModelGuardErrorCode, verifyAuditLog } from '@org/model-guard';
import { describe, expect, it } from 'vitest';
import { clientOf } from '../support/clients.js';
import {
  admin,
  anotherServer,
  Bench,
  bigsOf,
  DAY,
  HOUR,
  lab,
  openCopied,
  opens,
  passes,
  plain,
  publish,
  publishers,
  refused,
  useLeaseLab,
} from '../support/lease-lab.js';
import { entitle } from '../support/story.js';

useLeaseLab('leases that ended');

describe('revocation', () => {
  const ways: [string, ModelGuardErrorCode, (a: Bench) => Promise<unknown>][] = [
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
    const [near, far] = [await Bench.ready(), await Bench.ready()];
    const guard = near.guard();
    const { offlineUntil } = await far.guard().lease('net@1');
    const big = await bigsOf(guard);
    for (const bench of [near, far]) await opens({ small: bench.away(), big });
    await revoke(near);
    if (code === 'DEVICE_REVOKED') await revoke(far);

    // A client that holds a token, and a new one.
    for (const client of [guard, near.guard()]) {
      await refused(code, () => client.lease('net@1'));
      await refused(code, () => load('net@1', { from: client }));
    }
    // The device that was told has forgotten its lease; an account that may not log in says nothing about leases.
    if (code !== 'NOT_AUTHENTICATED')
      await refused('SERVER_UNREACHABLE', () => load('net@1', { from: { small: near.away(), big } }));
    // The one that nobody could tell goes on for the time that was agreed, and no longer.
    passes(offlineUntil - lab.server.clock.now);
    await opens({ small: far.away(), big });
    passes(1);
    await refused('LEASE_EXPIRED', () => load('net@1', { from: { small: far.away(), big } }));
    await refused(code, () => load('net@1', { from: far.guard() }));
  });

  it('of the lease frees its seat at once; what the device kept ends at offline-until', async () => {
    await admin().entitlements.delete(lab.entitlement);
    await entitle(lab.server, 'operator', { name: 'net', seats: 1, leaseSeconds: DAY, offlineSeconds: HOUR });
    const [a, b] = [await Bench.ready(), await Bench.ready()];
    const lease = await a.guard().lease('net@1');
    const big = await bigsOf(a.guard());
    await refused('SEATS_TAKEN', () => b.guard().lease('net@1'));
    const current = (await a.guard().lease('net@1')).id;
    await admin().leases.revoke(current);
    await opens(b.guard());
    await refused('SEATS_TAKEN', () => a.guard().lease('net@1'));
    await opens({ small: a.away(), big });
    passes(lease.offlineUntil + 1 - lab.server.clock.now);
    await refused('LEASE_EXPIRED', () => load('net@1', { from: { small: a.away(), big } }));
  });
});

describe('another server', () => {
  it('gives leases that this one’s devices do not take', async () => {
    const other = await anotherServer();
    const a = await Bench.ready();
    const elsewhere = clientOf(other, { device: a.key, state: join(lab.folder, 'elsewhere'), publishers });
    const { device, fingerprint } = await elsewhere.enroll('the same device');
    await clientOf(other, { role: 'admin' }).devices.approve(device.id, fingerprint);
    const small = await elsewhere.getSmall({ name: 'net', version: '1' });
    const big = await bigsOf(elsewhere);
    await refused('LEASE_UNTRUSTED', () => openCopied(small, a, big));
    using model = await openCopied(small, a, big, other.context.keys.signing.publicKey);
    expect(Buffer.compare(model.bytes, plain)).toBe(0);
    // In the place of the pinned one.
    await refused('SERVER_UNTRUSTED', () => a.guard({ url: other.url }).lease('net@1'));
    await refused('SERVER_UNTRUSTED', () => load('net@1', { from: new Bench('operator', a.clock).guard({ url: other.url }) }));
    // What was kept of one is not the other's.
    await a.guard().lease('net@1');
    const [file = ''] = readdirSync(a.stateFolder);
    const [, generation = ''] = file.split('.');
    renameSync(join(a.stateFolder, file), join(a.stateFolder, `${other.context.serverId}.${generation}`));
    await refused('INTEGRITY_FAILED', () => a.away().lease('net@1'));
  });
});

describe('going back', () => {
  it('a state that was changed is found; one that was put back opens no longer than before', async () => {
    const a = await Bench.ready();
    const first = await a.guard().lease('net@1');
    const big = await bigsOf(a.guard());
    const earlier = join(lab.folder, 'earlier');
    cpSync(a.stateFolder, earlier, { recursive: true });
    passes(HOUR / 2);
    const second = await a.guard().lease('net@1');
    expect(second.offlineUntil).toBeGreaterThan(first.offlineUntil);
    passes(HOUR / 2 + 1);
    await opens({ small: a.away(), big });
    rmSync(a.stateFolder, { recursive: true });
    cpSync(earlier, a.stateFolder, { recursive: true });
    await refused('LEASE_EXPIRED', () => load('net@1', { from: { small: a.away(), big } }));

    const [file = ''] = readdirSync(a.stateFolder);
    const path = join(a.stateFolder, file);
    const sealed = readFileSync(path);
    for (const at of [0, 12, sealed.length >> 1, sealed.length - 1]) {
      const changed = Buffer.from(sealed);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(path, changed);
      await refused('INTEGRITY_FAILED', () => a.away().lease('net@1'));
      await refused('INTEGRITY_FAILED', () => a.guard().lease('net@1'));
    }
  });

  it('an older version than the device has had is refused, until it is told to accept it', async () => {
    const a = await Bench.ready();
    await publish(lab.server, '2');
    await opens(a.guard(), 'net');
    expect((await a.guard().lease('net')).version).toBe('2');
    await refused('ROLLBACK_REFUSED', () => a.guard().lease('net@1'));
    const { payloadId } = await admin().models.get('net@1');
    await admin().release('net@1', { payloadId, rollback: 'accept' });
    await refused('ROLLBACK_REFUSED', () => a.guard().lease('net'));
    await refused('ROLLBACK_REFUSED', () => load('net', { from: a.guard() }));
    await opens(a.guard({ rollback: 'accept' }), 'net');
  });

  it('a server that was put back to a backup is reported by who has seen more, and the export shows it', async () => {
    await entitle(lab.server, 'admin', { name: 'net', seats: 10 });
    const a = await Bench.ready('admin');
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
      await refused('AUDIT_LOG_ROLLED_BACK', () => client.lease('net@1'));
      await refused('AUDIT_LOG_ROLLED_BACK', () => client.audit.checkpoint());
      await refused('AUDIT_LOG_ROLLED_BACK', () => load('net@1', { from: client }));
    }
    await refused('AUDIT_LOG_TRUNCATED', async () => verifyAuditLog(await log(), { checkpoint: kept, key }));
    // Who had not seen more has nothing to report.
    const b = await Bench.ready();
    await opens(b.guard());

    // It grows beyond what was kept: the numbers are plausible again, the history is another one.
    while ((await admin().audit.checkpoint()).seq <= kept.seq);
    await refused('AUDIT_LOG_BROKEN', async () => verifyAuditLog(await log(), { checkpoint: kept, key }));
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
