/**
 * Limits of leases: another device, another time. Every way is tried with the server and without it. If these fail, a lease is a
 * copy of the model.
 */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { load } from '@org/model-guard';
import { describe, expect, it } from 'vitest';
import { MachineClock } from '../support/clients.js';
import {
  advanceTime,
  bigsOf,
  counts,
  DAY,
  expectLoads,
  expectRefusal,
  HOUR,
  LabDevice,
  lab,
  openCopied,
  plain,
  setDeviceClock,
  useLeaseLab,
} from '../support/lease-lab.js';

useLeaseLab('leases');

describe('a lease of device A', () => {
  it('opens for A, by its small part alone', async () => {
    const a = await LabDevice.ready();
    const guard = a.guard();
    const small = await guard.getSmall({ name: 'net', version: '1' });
    using model = await openCopied(small, a, await bigsOf(guard));
    expect(Buffer.compare(model.bytes, plain)).toBe(0);
    counts.opened++;
  });

  it('is of no use to B: neither its small part, nor its state, nor both', async () => {
    const [a, b] = [await LabDevice.ready(), await LabDevice.ready()];
    const guard = a.guard();
    const small = await guard.getSmall({ name: 'net', version: '1' });
    const big = await bigsOf(guard);
    await expectRefusal('NO_MATCHING_IDENTITY', () => openCopied(small, b, big));

    // The state file of A in the place of B's; then under A's name with B's key.
    cpSync(a.stateFolder, b.stateFolder, { recursive: true });
    await expectRefusal('INTEGRITY_FAILED', () => load('net@1', { from: { small: b.away(), big } }));
    await expectRefusal('INTEGRITY_FAILED', () => b.guard().lease('net@1'));
    rmSync(b.stateFolder, { recursive: true });
    await expectRefusal('SERVER_UNREACHABLE', () => load('net@1', { from: { small: b.away({ state: a.state }), big } }));
  });

  it('is not handed to B, whatever it claims to be', async () => {
    const a = await LabDevice.ready();
    const guard = new LabDevice().guard();
    await guard.enroll('not approved');
    await expectRefusal('DEVICE_NOT_APPROVED', () => guard.lease('net@1'));
    await expectRefusal('DEVICE_NOT_APPROVED', () => load('net@1', { from: guard }));
    await expectLoads(a.guard());
  });
});

describe('time', () => {
  it('a lease that is over opens nothing, at the device that it was for', async () => {
    const a = await LabDevice.ready();
    const small = await a.guard().getSmall({ name: 'net', version: '1' });
    const big = await bigsOf(a.guard());
    advanceTime(DAY + 1);
    await expectRefusal('LEASE_EXPIRED', () => openCopied(small, a, big));
    await expectRefusal('LEASE_EXPIRED', () => load('net@1', { from: { small: a.away(), big } }));
    await expectLoads(a.guard());
  });

  it('a lease that has not begun opens nothing', async () => {
    // The server is ahead of this machine by more than the two minutes that a lease begins earlier.
    lab.server.clock.advance(HOUR);
    const a = await LabDevice.ready();
    const small = await a.guard().getSmall({ name: 'net', version: '1' });
    const big = await bigsOf(a.guard());
    const { publicKey } = lab.server.context.keys.signing;
    await expectRefusal('LEASE_NOT_YET_VALID', () => openCopied(small, a, big, publicKey, 0));
    // By a clock of its own, a device does not even take it.
    const right = new MachineClock(lab.server);
    right.offset = -HOUR;
    const careful = a.guard({ clock: right, state: join(lab.folder, 'fresh') });
    await expectRefusal('CLOCK_SKEWED', () => careful.lease('net@1'));
    advanceTime(0);
    await expectLoads({ small: a.away(), big });
  });

  it('a clock that is set back opens nothing, with the server and without it, over restarts', async () => {
    const a = await LabDevice.ready();
    const guard = a.guard();
    const big = await bigsOf(guard);
    await expectLoads({ small: a.away(), big });
    advanceTime(HOUR / 2);
    await expectLoads({ small: a.away(), big });
    for (const restart of [false, true]) {
      if (restart) a.clock.restart();
      for (const offset of [-121, -HOUR / 2, -DAY]) {
        setDeviceClock(a, offset);
        await expectRefusal('CLOCK_SET_BACK', () => a.guard().lease('net@1'));
        await expectRefusal('CLOCK_SET_BACK', () => load('net@1', { from: { small: a.away(), big } }));
        await expectRefusal('CLOCK_SET_BACK', () => load('net@1', { from: a.guard() }));
      }
    }
    setDeviceClock(a, 0);
    await expectLoads({ small: a.away(), big });
    // Within one boot the uptime counts, although the wall clock was stopped.
    advanceTime(HOUR / 4);
    setDeviceClock(a, -HOUR / 4);
    await expectRefusal('CLOCK_SET_BACK', () => load('net@1', { from: { small: a.away(), big } }));
  });

  it('a kept lease ends at its offline-until, to the second', async () => {
    const a = await LabDevice.ready();
    const { offlineUntil } = await a.guard().lease('net@1');
    const big = await bigsOf(a.guard());
    advanceTime(offlineUntil - lab.server.clock.now);
    expect((await a.away().lease('net@1')).source).toBe('kept');
    await expectLoads({ small: a.away(), big });
    const small = await a.away().getSmall({ name: 'net', version: '1' });
    advanceTime(1);
    await expectRefusal('LEASE_EXPIRED', () => openCopied(small, a, big));
    await expectRefusal('LEASE_EXPIRED', () => a.away().lease('net@1'));
    await expectRefusal('LEASE_EXPIRED', () => load('net@1', { from: { small: a.away(), big } }));
    await expectLoads(a.guard());
  });
});
