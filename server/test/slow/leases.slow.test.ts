/**
 * What a lease does not allow: another device, another time. Every way is tried with the server and without it. If these fail, a lease
 * is a copy of the model.
 */
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { load } from '@org/model-guard';
import { describe, expect, it } from 'vitest';
import { MachineClock } from '../support/clients.js';
import {
  Bench,
  bigsOf,
  counts,
  DAY,
  HOUR,
  lab,
  openCopied,
  opens,
  passes,
  plain,
  refused,
  shows,
  useLeaseLab,
} from '../support/lease-lab.js';

useLeaseLab('leases');

describe('a lease of device A', () => {
  it('opens for A, by its small part alone', async () => {
    const a = await Bench.ready();
    const guard = a.guard();
    const small = await guard.getSmall({ name: 'net', version: '1' });
    using model = await openCopied(small, a, await bigsOf(guard));
    expect(Buffer.compare(model.bytes, plain)).toBe(0);
    counts.opened++;
  });

  it('is of no use to B: neither its small part, nor its state, nor both', async () => {
    const [a, b] = [await Bench.ready(), await Bench.ready()];
    const guard = a.guard();
    const small = await guard.getSmall({ name: 'net', version: '1' });
    const big = await bigsOf(guard);
    await refused('NO_MATCHING_IDENTITY', () => openCopied(small, b, big));

    // The state file of A in the place of B's; then under A's name with B's key.
    cpSync(a.stateFolder, b.stateFolder, { recursive: true });
    await refused('INTEGRITY_FAILED', () => load('net@1', { from: { small: b.away(), big } }));
    await refused('INTEGRITY_FAILED', () => b.guard().lease('net@1'));
    rmSync(b.stateFolder, { recursive: true });
    await refused('SERVER_UNREACHABLE', () => load('net@1', { from: { small: b.away({ state: a.state }), big } }));
  });

  it('is not handed to B, whoever it says it is', async () => {
    const a = await Bench.ready();
    const guard = new Bench().guard();
    await guard.enroll('not approved');
    await refused('DEVICE_NOT_APPROVED', () => guard.lease('net@1'));
    await refused('DEVICE_NOT_APPROVED', () => load('net@1', { from: guard }));
    await opens(a.guard());
  });
});

describe('time', () => {
  it('a lease that is over opens nothing, at the device that it was for', async () => {
    const a = await Bench.ready();
    const small = await a.guard().getSmall({ name: 'net', version: '1' });
    const big = await bigsOf(a.guard());
    passes(DAY + 1);
    await refused('LEASE_EXPIRED', () => openCopied(small, a, big));
    await refused('LEASE_EXPIRED', () => load('net@1', { from: { small: a.away(), big } }));
    await opens(a.guard());
  });

  it('a lease that has not begun opens nothing', async () => {
    // The server is ahead of this machine by more than the two minutes that a lease begins earlier.
    lab.server.clock.advance(HOUR);
    const a = await Bench.ready();
    const small = await a.guard().getSmall({ name: 'net', version: '1' });
    const big = await bigsOf(a.guard());
    const { publicKey } = lab.server.context.keys.signing;
    await refused('LEASE_NOT_YET_VALID', () => openCopied(small, a, big, publicKey, 0));
    // By a clock of its own, a device does not even take it.
    const right = new MachineClock(lab.server);
    right.offset = -HOUR;
    const careful = a.guard({ clock: right, state: join(lab.folder, 'fresh') });
    await refused('CLOCK_SKEWED', () => careful.lease('net@1'));
    passes(0);
    await opens({ small: a.away(), big });
  });

  it('a clock that is set back opens nothing, with the server and without it, over restarts', async () => {
    const a = await Bench.ready();
    const guard = a.guard();
    const big = await bigsOf(guard);
    await opens({ small: a.away(), big });
    passes(HOUR / 2);
    await opens({ small: a.away(), big });
    for (const restart of [false, true]) {
      if (restart) a.clock.restart();
      for (const offset of [-121, -HOUR / 2, -DAY]) {
        shows(a, offset);
        await refused('CLOCK_SET_BACK', () => a.guard().lease('net@1'));
        await refused('CLOCK_SET_BACK', () => load('net@1', { from: { small: a.away(), big } }));
        await refused('CLOCK_SET_BACK', () => load('net@1', { from: a.guard() }));
      }
    }
    shows(a, 0);
    await opens({ small: a.away(), big });
    // Within one boot, what has passed counts although the wall clock was stopped.
    passes(HOUR / 4);
    shows(a, -HOUR / 4);
    await refused('CLOCK_SET_BACK', () => load('net@1', { from: { small: a.away(), big } }));
  });

  it('a kept lease ends at its offline-until, to the second', async () => {
    const a = await Bench.ready();
    const { offlineUntil } = await a.guard().lease('net@1');
    const big = await bigsOf(a.guard());
    passes(offlineUntil - lab.server.clock.now);
    expect((await a.away().lease('net@1')).source).toBe('kept');
    await opens({ small: a.away(), big });
    const small = await a.away().getSmall({ name: 'net', version: '1' });
    passes(1);
    await refused('LEASE_EXPIRED', () => openCopied(small, a, big));
    await refused('LEASE_EXPIRED', () => a.away().lease('net@1'));
    await refused('LEASE_EXPIRED', () => load('net@1', { from: { small: a.away(), big } }));
    await opens(a.guard());
  });
});
