/** A server and devices with clocks of their own, whose time passes when a test moves it. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DeviceKey,
  fileStore,
  type GuardServer,
  load,
  type ModelGuardErrorCode,
  type PartStore,
  protect,
  SigningKey,
} from '@org/model-guard';
import { deviceIdOf } from '@org/model-guard/server-kit';
import { afterAll, afterEach, beforeEach, expect, vi } from 'vitest';
import { failureOf } from '../../../test/support/failures.js';
import { print } from '../../../test/support/print.js';
import { type ClientOptions, clientOf, MachineClock, readyDevice } from './clients.js';
import { startTestServer, TestClock, type TestServer } from './server.js';
import { entitle } from './story.js';

export const HOUR = 3600;
export const DAY = 24 * HOUR;
const AWAY = 'http://127.0.0.1:1';
export const plain = new Uint8Array(randomBytes(200_000));
const signer = SigningKey.generate();
export const publishers = signer.publicKey;
export const counts = { refused: 0, opened: 0 };
const codes = new Map<string, number>();

/** Made anew for every test. */
export const lab = {} as {
  folder: string;
  /** Listens, and has net@1, which the operator may load. */
  server: TestServer;
  /** That of the operator. */
  entitlement: string;
};
const others: TestServer[] = [];

/** Sets the lab up for the tests of a file, and prints the counts of loads and refusals at their end. */
export function useLeaseLab(what: string): void {
  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['Date'] });
    lab.folder = mkdtempSync(join(tmpdir(), 'guard-leases-'));
    writeFileSync(join(lab.folder, 'net.onnx'), plain);
    Object.assign(lab, await serverAt(new TestClock()));
  });
  afterEach(async () => {
    for (const one of [lab.server, ...others.splice(0)]) await one.close();
    rmSync(lab.folder, { recursive: true, force: true });
    vi.useRealTimers();
  });
  afterAll(() => {
    const refusals = [...codes].map(([code, count]) => `${code} ${count}`).join(', ');
    print(`${what}: opened ${counts.opened} times, refused ${counts.refused} times (${refusals})`);
  });
}

async function serverAt(clock: TestClock): Promise<Pick<typeof lab, 'server' | 'entitlement'>> {
  const server = await startTestServer({ clock });
  server.secrets.payload('the model', plain);
  await server.listen();
  await clientOf(server, { role: 'admin' }).publishers.set('net', [publishers]);
  await publish(server, '1');
  const terms = { name: 'net', seats: 10, leaseSeconds: DAY, offlineSeconds: HOUR };
  return { server, entitlement: (await entitle(server, 'operator', terms)).id };
}
/** One more like it. */
export async function anotherServer(): Promise<TestServer> {
  const { server } = await serverAt(lab.server.clock);
  others.push(server);
  return server;
}
export const publish = (to: TestServer, version: string) =>
  protect(join(lab.folder, 'net.onnx'), { name: 'net', version, signer, to: clientOf(to, { role: 'admin' }) });
export const admin = (): GuardServer => clientOf(lab.server, { role: 'admin' });

/** The time of the server and of the devices. */
export function advanceTime(seconds: number): void {
  lab.server.clock.advance(seconds);
  vi.setSystemTime(lab.server.clock.now * 1000);
}
/** Sets the clock of a device, as an offset from the right time. */
export function setDeviceClock(bench: LabDevice, offset: number): void {
  bench.clock.offset = offset;
  vi.setSystemTime((lab.server.clock.now + offset) * 1000);
}

/** A device with a clock and a state folder of its own, and a client of it that reaches no server. */
export class LabDevice {
  readonly key = DeviceKey.generate();
  readonly id = deviceIdOf(this.key.publicKey.toString());
  readonly clock: MachineClock;
  readonly state = mkdtempSync(join(lab.folder, 'state-'));

  constructor(
    readonly role: 'operator' | 'admin' = 'operator',
    clock = new MachineClock(lab.server),
  ) {
    this.clock = clock;
  }

  guard(options: ClientOptions = {}, at = lab.server): GuardServer {
    const { key: device, role, state, clock } = this;
    return clientOf(at, { device, role, state, clock, publishers, ...options });
  }
  away(options: ClientOptions = {}): GuardServer {
    return this.guard({ url: AWAY, ...options });
  }
  get stateFolder(): string {
    return join(this.state, this.id);
  }
  static async ready(owner?: 'admin'): Promise<LabDevice> {
    const bench = new LabDevice(owner);
    const { key: device, role, state, clock } = bench;
    await readyDevice(lab.server, { device, role, state, clock, publishers });
    return bench;
  }
}

export async function expectRefusal(code: ModelGuardErrorCode, task: () => Promise<unknown>): Promise<void> {
  expect((await failureOf(task)).code).toBe(code);
  counts.refused++;
  codes.set(code, (codes.get(code) ?? 0) + 1);
}
export async function expectLoads(from: GuardServer | Parameters<typeof load>[1]['from'], ref = 'net@1'): Promise<void> {
  using model = await load(ref, { from });
  expect(Buffer.compare(model.bytes, plain)).toBe(0);
  counts.opened++;
}
/** The big part lies with the device: it is no secret. */
export async function bigsOf(guard: GuardServer, ref = { name: 'net', version: '1' }): Promise<PartStore> {
  const bigs = fileStore(mkdtempSync(join(lab.folder, 'bigs-')));
  await guard.getSmall(ref);
  const { bigName } = await guard.models.get(ref);
  const part = await guard.openBig(ref, bigName);
  const pieces = [await part.read(0, part.size)].flat();
  const source = async function* () {
    yield* pieces;
  };
  await bigs.putBig(ref, bigName, { size: part.size, stream: source, tree: () => new Uint8Array() });
  return bigs;
}
/** A store with this small part, wherever it comes from. */
async function holding(small: Uint8Array, seen: number): Promise<PartStore> {
  const store = fileStore(mkdtempSync(join(lab.folder, 'smalls-')));
  await store.putSmall({ name: 'net', version: '1' }, small);
  // The native code goes by the system's clock, which no test moves, and by a later time that was seen. That it was renewed is a lie.
  return Object.assign(store, { defaults: { lease: { seen, renewed: true } } });
}
/** Opens a copied small part with every other key at hand. */
export async function openCopied(
  small: Uint8Array,
  by: LabDevice,
  big: PartStore,
  leaseKeys = lab.server.context.keys.signing.publicKey,
  seen = lab.server.clock.now,
) {
  const from = { small: await holding(small, seen), big };
  return await load('net@1', { from, identities: [by.key], verifier: publishers, leaseKeys });
}
