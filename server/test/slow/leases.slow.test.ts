/**
 * What a lease does not allow: another device, another time, another server, a device or a server that went back to how it was. Every
 * way is tried with the server and without it. If these fail, a lease is a copy of the model.
 */
import { randomBytes } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import {
  DeviceKey,
  fileStore,
  type GuardServer,
  load,
  type ModelGuardErrorCode,
  type PartStore,
  protect,
  SigningKey,
  verifyAuditLog,
} from '@org/model-guard';
import { deviceIdOf } from '@org/model-guard/server-kit';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { failureOf } from '../../../test/support/failures.js';
import { print } from '../../../test/support/print.js';
import { type ClientOptions, clientOf, MachineClock, readyDevice } from '../support/clients.js';
import { startTestServer, TestClock, type TestServer } from '../support/server.js';
import { entitle } from '../support/story.js';

const HOUR = 3600;
const DAY = 24 * HOUR;
const AWAY = 'http://127.0.0.1:1';
const plain = new Uint8Array(randomBytes(200_000));
const signer = SigningKey.generate();
const publishers = signer.publicKey;
const counts = { refused: 0, opened: 0 };
const codes = new Map<string, number>();

let folder: string;
let server: TestServer;
let entitlement: string;
const more: TestServer[] = [];
beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  folder = mkdtempSync(join(tmpdir(), 'guard-leases-'));
  writeFileSync(join(folder, 'net.onnx'), plain);
  server = await serverAt(new TestClock());
});
afterEach(async () => {
  for (const one of [server, ...more.splice(0)]) await one.close();
  rmSync(folder, { recursive: true, force: true });
  vi.useRealTimers();
});
afterAll(() => {
  const refusals = [...codes].map(([code, count]) => `${code} ${count}`).join(', ');
  print(`leases: opened ${counts.opened} times, refused ${counts.refused} times (${refusals})`);
});

/** One that has net@1 and lets the operator load it. */
async function serverAt(clock: TestClock): Promise<TestServer> {
  const made = await startTestServer({ clock });
  made.secrets.payload('the model', plain);
  await made.listen();
  await clientOf(made, { role: 'admin' }).publishers.set('net', [publishers]);
  await publish(made, '1');
  entitlement = (await entitle(made, 'operator', { name: 'net', seats: 10, leaseSeconds: DAY, offlineSeconds: HOUR })).id;
  return made;
}
const publish = (to: TestServer, version: string) =>
  protect(join(folder, 'net.onnx'), { name: 'net', version, signer, to: clientOf(to, { role: 'admin' }) });
const admin = (): GuardServer => clientOf(server, { role: 'admin' });

/** Time for everybody: the server, the clocks of devices, and the clock that containers are opened by. */
function passes(seconds: number): void {
  server.clock.advance(seconds);
  vi.setSystemTime(server.clock.now * 1000);
}
/** What the clock of a device shows, beside the right time. */
function shows(bench: Bench, offset: number): void {
  bench.clock.offset = offset;
  vi.setSystemTime((server.clock.now + offset) * 1000);
}

/** A device with a clock and a state folder of its own, and a client of it that reaches no server. */
class Bench {
  readonly key = DeviceKey.generate();
  readonly id = deviceIdOf(this.key.publicKey.toString());
  readonly clock: MachineClock;
  readonly state = mkdtempSync(join(folder, 'state-'));

  constructor(
    readonly role: 'operator' | 'admin' = 'operator',
    clock = new MachineClock(server),
  ) {
    this.clock = clock;
  }

  guard(options: ClientOptions = {}, at = server): GuardServer {
    const { key: device, role, state, clock } = this;
    return clientOf(at, { device, role, state, clock, publishers, ...options });
  }
  away(options: ClientOptions = {}): GuardServer {
    return this.guard({ url: AWAY, ...options });
  }
  get stateFolder(): string {
    return join(this.state, this.id);
  }
  static async ready(owner?: 'admin'): Promise<Bench> {
    const bench = new Bench(owner);
    const { key: device, role, state, clock } = bench;
    await readyDevice(server, { device, role, state, clock, publishers });
    return bench;
  }
}

async function refused(code: ModelGuardErrorCode, task: () => Promise<unknown>): Promise<void> {
  expect((await failureOf(task)).code).toBe(code);
  counts.refused++;
  codes.set(code, (codes.get(code) ?? 0) + 1);
}
async function opens(from: GuardServer | Parameters<typeof load>[1]['from'], ref = 'net@1'): Promise<void> {
  using model = await load(ref, { from });
  expect(Buffer.compare(model.bytes, plain)).toBe(0);
  counts.opened++;
}
/** The big part lies with the device: it is no secret. */
async function bigsOf(guard: GuardServer, ref = { name: 'net', version: '1' }): Promise<PartStore> {
  const bigs = fileStore(mkdtempSync(join(folder, 'bigs-')));
  await guard.getSmall(ref);
  const { bigName } = await guard.models.get(ref);
  const part = await guard.openBig(ref, bigName);
  const bytes = await part.read(0, part.size);
  const source = async function* () {
    yield bytes;
  };
  await bigs.putBig(ref, bigName, { size: part.size, stream: source, tree: () => new Uint8Array() });
  return bigs;
}
/** A store with this small part, wherever it comes from. */
async function holding(small: Uint8Array): Promise<PartStore> {
  const store = fileStore(mkdtempSync(join(folder, 'smalls-')));
  await store.putSmall({ name: 'net', version: '1' }, small);
  return store;
}
/** Opens a small part that somebody copied, with everything else in hand. */
async function openCopied(small: Uint8Array, by: Bench, big: PartStore, leaseKeys = server.context.keys.signing.publicKey) {
  const from = { small: await holding(small), big };
  return await load('net@1', { from, identities: [by.key], verifier: publishers, leaseKeys });
}

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
    // The server is ahead by more than the two minutes that a lease begins earlier.
    server.clock.advance(121);
    const a = await Bench.ready();
    const small = await a.guard().getSmall({ name: 'net', version: '1' });
    const big = await bigsOf(a.guard());
    await refused('LEASE_NOT_YET_VALID', () => openCopied(small, a, big));
    await refused('LEASE_NOT_YET_VALID', () => load('net@1', { from: a.guard() }));
    await refused('LEASE_NOT_YET_VALID', () => load('net@1', { from: { small: a.away(), big } }));
    // By a clock of its own, a device does not even take it.
    const right = new MachineClock(server);
    right.offset = -121;
    const careful = a.guard({ clock: right, state: join(folder, 'fresh') });
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
    passes(offlineUntil - server.clock.now);
    expect((await a.away().lease('net@1')).source).toBe('kept');
    await opens({ small: a.away(), big });
    passes(1);
    await refused('LEASE_EXPIRED', () => a.away().lease('net@1'));
    await refused('LEASE_EXPIRED', () => load('net@1', { from: { small: a.away(), big } }));
    await opens(a.guard());
  });
});
describe('revocation', () => {
  const ways: [string, ModelGuardErrorCode, (a: Bench) => Promise<unknown>][] = [
    ['the device', 'DEVICE_REVOKED', (a) => admin().devices.revoke(a.id)],
    ['the entitlement', 'NOT_AUTHORISED', () => admin().entitlements.delete(entitlement)],
    ['the version', 'NOT_RELEASED', () => admin().revoke('net@1')],
    [
      'the account',
      'NOT_AUTHENTICATED',
      () => clientOf(server, { role: 'apiAdmin' }).users.update(server.accounts.operator.id, { disabled: true }),
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
    passes(offlineUntil - server.clock.now);
    await opens({ small: far.away(), big });
    passes(1);
    await refused('LEASE_EXPIRED', () => load('net@1', { from: { small: far.away(), big } }));
    await refused(code, () => load('net@1', { from: far.guard() }));
  });

  it('of the lease frees its seat at once; what the device kept ends at offline-until', async () => {
    await admin().entitlements.delete(entitlement);
    await entitle(server, 'operator', { name: 'net', seats: 1, leaseSeconds: DAY, offlineSeconds: HOUR });
    const [a, b] = [await Bench.ready(), await Bench.ready()];
    const lease = await a.guard().lease('net@1');
    const big = await bigsOf(a.guard());
    await refused('SEATS_TAKEN', () => b.guard().lease('net@1'));
    const current = (await a.guard().lease('net@1')).id;
    await admin().leases.revoke(current);
    await opens(b.guard());
    await refused('SEATS_TAKEN', () => a.guard().lease('net@1'));
    await opens({ small: a.away(), big });
    passes(lease.offlineUntil + 1 - server.clock.now);
    await refused('LEASE_EXPIRED', () => load('net@1', { from: { small: a.away(), big } }));
  });
});

describe('another server', () => {
  it('gives leases that this one’s devices do not take', async () => {
    const other = await serverAt(server.clock);
    more.push(other);
    const a = await Bench.ready();
    const elsewhere = clientOf(other, { device: a.key, state: join(folder, 'elsewhere'), publishers });
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
    const earlier = join(folder, 'earlier');
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
    await publish(server, '2');
    await opens(a.guard(), 'net');
    expect((await a.guard().lease('net')).version).toBe('2');
    await refused('ROLLBACK_REFUSED', () => a.guard().lease('net@1'));
    await admin().release('net@1', { rollback: 'accept' });
    await refused('ROLLBACK_REFUSED', () => a.guard().lease('net'));
    await refused('ROLLBACK_REFUSED', () => load('net', { from: a.guard() }));
    await opens(a.guard({ rollback: 'accept' }), 'net');
  });

  it('a server that was put back to a backup is reported by who has seen more, and the export shows it', async () => {
    await entitle(server, 'admin', { name: 'net', seats: 10 });
    const a = await Bench.ready('admin');
    await a.guard().lease('net@1');
    const backup = join(folder, 'backup');
    await stopped();
    cpSync(server.folder, backup, { recursive: true });

    await restarted();
    await publish(server, '2');
    await a.guard().lease('net');
    const kept = await a.guard().audit.checkpoint();

    await stopped();
    for (const name of readdirSync(server.folder)) rmSync(join(server.folder, name), { recursive: true });
    cpSync(backup, server.folder, { recursive: true });
    await restarted();
    const key = server.context.keys.audit.publicKey;
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
  await server.app.close();
  await server.context.db.destroy();
}
async function restarted(): Promise<void> {
  server = await server.restart();
  await server.listen();
}
