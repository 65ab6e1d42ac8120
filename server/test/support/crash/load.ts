/** Runs several clients at once, each of which repeats one kind of work and records the answers. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DeviceKey, type GuardServer, type LeaseFacts, load, ModelGuardError, protect } from '@org/model-guard';
import { hasCode } from '../../../../src/errors.js';
import { digestOf, type Kind, later, type Outcome, type Progress, type VersionRecord } from './journal.js';
import { NAMES, type World } from './world.js';

const SMALLEST = 20_000;
const USUAL = 200_000;
const LARGE = 3_000_000;
/** Acknowledgements between two rotations, so that everything else happens too. */
const BETWEEN_ROTATIONS = 12;
/** More devices than seats, and a newest version that may just have been revoked. */
const REFUSALS = ['SEATS_TAKEN', 'NOT_RELEASED'] as const;

/** From the server. Without it a device may go on with its kept state, which is not tested here. */
async function leaseOf(guard: GuardServer, name: string): Promise<LeaseFacts> {
  const lease = await guard.lease(name);
  if (lease.source === 'kept') throw new ModelGuardError('SERVER_UNREACHABLE', 'The lease is the one that was kept');
  return lease;
}

interface Pipeline {
  readonly name: string;
  readonly uploader: GuardServer;
  readonly decider: GuardServer;
}
/** A device, and an account that may end its leases. */
interface Bench {
  readonly id: string;
  readonly guard: GuardServer;
  readonly decider: GuardServer;
}

export class Load {
  readonly #world: World;
  readonly #workers: Promise<void>[] = [];
  /** The more devices, the rarer everything but leases. */
  readonly #crowd: number;
  #over = false;
  #count = 0;

  constructor(world: World) {
    this.#world = world;
    this.#crowd = Math.ceil(world.benches.length / NAMES.length);
    const { benches, accounts, client, signer } = world;
    const clientOf = (worker: string, account: keyof typeof accounts): GuardServer => client(worker, accounts[account]);
    for (const name of NAMES) {
      const pipeline = { name, uploader: clientOf(name, 'uploader'), decider: clientOf(name, 'decider') };
      this.#work(name, () => this.#release(pipeline));
    }
    for (const { id, key } of benches) {
      const guard = client(id, accounts.lab, { device: key, publishers: signer.publicKey });
      const bench = { id, guard, decider: clientOf(id, 'decider') };
      this.#work(id, () => this.#lease(bench));
    }
    const root = clientOf('rotator', 'root');
    this.#work('rotator', () => this.#rotate(root));
    const decider = clientOf('housekeeper', 'decider');
    this.#work('housekeeper', () => this.#keepHouse(decider));
  }

  get workers(): number {
    return this.#workers.length;
  }

  async end(): Promise<void> {
    this.#over = true;
    this.#world.journal.finish();
    await Promise.all(this.#workers);
  }

  #work(worker: string, task: () => Promise<void>): void {
    const { gate, journal } = this.#world;
    const loop = async (): Promise<void> => {
      while (!this.#over) {
        await gate.pass(worker);
        await task().catch((error: unknown) => journal.faults.push(`${worker}: ${String((error as Error).stack)}`));
      }
    };
    this.#workers.push(loop());
  }

  /** A version from its publication to its release; sometimes it is replaced before, sometimes an older one is revoked after. */
  async #release(pipeline: Pipeline): Promise<void> {
    const { journal, random, gate } = this.#world;
    const { name, decider } = pipeline;
    if (this.#count >= NAMES.length) await gate.pass(name, journal.after(this.#crowd - 1));
    const version = `v${this.#count++}`;
    const record: VersionRecord = { name, version, contents: [], least: 'absent', most: 'absent' };
    journal.versions.set(`${name}@${version}`, record);
    const direct = random.integer(4) === 0;
    await this.#publish(pipeline, record, direct ? 'released' : 'pending');
    if (record.least === 'absent') return;
    if (record.least === 'pending' && random.integer(4) === 0) await this.#publish(pipeline, record, 'pending', true);
    const ref = { name, version };
    if (record.least === 'pending')
      await this.#decide(decider, 'release', record, 'released', async () => {
        const { payloadId } = await decider.models.get(ref);
        return await decider.release(ref, { payloadId });
      });
    const old = [...journal.versions.values()].find((one) => one.name === name && one.least === 'released' && one !== record);
    if (!old || record.least !== 'released' || random.integer(5) > 0) return;
    journal.ending((lease) => lease.name === name && lease.version === old.version);
    await this.#decide(decider, 'revoke', old, 'revoked', () => decider.revoke({ name, version: old.version }));
  }

  async #publish({ decider, uploader }: Pipeline, record: VersionRecord, state: Progress, overwrite = false): Promise<void> {
    const { folder, random, secrets, signer } = this.#world;
    const { name, version } = record;
    const source = join(folder, 'models', name);
    const plain = random.bytes(random.integer(8) === 0 ? LARGE : SMALLEST + random.integer(USUAL));
    writeFileSync(source, plain);
    secrets.payload(`the model ${name}@${version}`, plain);
    const content = digestOf(plain);
    record.contents = [...record.contents, content];
    const options = { name, version, signer, to: state === 'released' ? decider : uploader, overwrite };
    const acknowledged = await this.#decide(decider, 'publish', record, state, () => protect(source, options));
    if (acknowledged) record.contents = [content];
  }

  /** True if it was acknowledged. Where the answer was lost, the state of the server decides. */
  async #decide(
    decider: GuardServer,
    kind: Kind,
    record: VersionRecord,
    to: Progress,
    task: () => Promise<unknown>,
  ): Promise<boolean> {
    const { journal } = this.#world;
    const { name, version } = record;
    const ref = `${name}@${version}`;
    if (later(to, record.most)) record.most = to;
    journal.touched.add(ref);
    const outcome = await journal.attempt(kind, task);
    if ('done' in outcome) {
      if (later(to, record.least)) record.least = to;
      journal.event(`models.${kind}`, `model:${ref}`);
      return true;
    }
    const before = record.least;
    const found = await decider.models.get({ name, version }).catch((error: unknown) => {
      if (hasCode(error, 'NOT_FOUND')) return undefined;
      throw error;
    });
    record.least = (found?.state ?? 'absent') as Progress;
    record.most = record.least;
    // Whether a pending version was replaced, its content will say.
    if (kind !== 'publish' || before === 'absent') journal.lost[later(record.least, before) ? 'done' : 'undone']++;
    return false;
  }

  async #lease({ id: device, guard, decider }: Bench): Promise<void> {
    const { journal, random, gate, seats } = this.#world;
    const name = random.pick(NAMES);
    if (![...journal.versions.values()].some((one) => one.name === name && one.least === 'released')) {
      await gate.pass(device, journal.after(1));
      return;
    }
    journal.ending((lease) => lease.name === name && lease.device === device);
    if (random.integer(4) === 0) return await this.#loadWhole(name, guard);
    const taken = await journal.attempt('lease', () => leaseOf(guard, name), REFUSALS);
    if (!('done' in taken)) return;
    const { id, version } = taken.done;
    // Revoked while the lease was on its way: it may be over already.
    const state = journal.versions.get(`${name}@${version}`)?.most === 'revoked' ? 'ending' : 'active';
    journal.leases.set(id, { id, name, version, device, state });
    journal.event('leases.take', `model:${name}@${version}`);
    const held = journal.holders(name);
    if (held > seats) journal.faults.push(`${held} devices hold a lease of ${name}, which has ${seats} seats`);
    if (random.integer(2) > 0) return;
    journal.ending((lease) => lease.id === id);
    const ended = await journal.attempt('end lease', () => decider.leases.revoke(id));
    if (!('done' in ended)) return;
    journal.event('leases.revoke', `lease:${id}`);
    const lease = journal.leases.get(id);
    if (lease) lease.state = 'ended';
  }

  async #loadWhole(name: string, from: GuardServer): Promise<void> {
    const { journal, gate } = this.#world;
    const { closings, isShut } = gate;
    const loaded = await journal.attempt(
      'load',
      async () => {
        using model = await load(name, { from });
        return { version: model.metadata.version, digest: digestOf(model.bytes) };
      },
      REFUSALS,
    );
    if (!('done' in loaded)) return;
    const { version, digest } = loaded.done;
    // One that went on over a kill may have been content with the lease that was kept.
    if (!journal.lenient && !isShut && closings === gate.closings) {
      journal.event('leases.take', `model:${name}@${version}`);
      journal.leasesToldByLoads++;
    }
    if (!journal.versions.get(`${name}@${version}`)?.contents.includes(digest))
      journal.faults.push(`${name}@${version} loads as something else`);
  }

  async #rotate(root: GuardServer): Promise<void> {
    const { journal, gate, random } = this.#world;
    await gate.pass('rotator', journal.after(BETWEEN_ROTATIONS * this.#crowd));
    const acceptSeconds = 300 + random.integer(3600);
    const begun = await journal.attempt('rotate', () => root.keys.rotate({ acceptSeconds }), ['ALREADY_EXISTS']);
    if ('done' in begun) {
      journal.rotations.add(begun.done.id);
      journal.event('keys.rotate', `rotation:${begun.done.id}`);
    } else if ('unknown' in begun) {
      const [newest] = (await root.keys.list()).rotations;
      journal.lost[newest && !journal.rotations.has(newest.id) ? 'done' : 'undone']++;
      if (newest) journal.rotations.add(newest.id);
    }
  }

  /** Devices, entitlements, archives, checkpoints. */
  async #keepHouse(decider: GuardServer): Promise<void> {
    const { journal, gate, random, accounts, archive, client, checkpoints } = this.#world;
    const { lab, auditor } = accounts;
    await gate.pass('housekeeper', journal.after((1 + random.integer(4)) * this.#crowd));
    const noted = <T>(outcome: Outcome<T>, action: string, note: (done: T) => string): void => {
      if ('done' in outcome) journal.event(action, note(outcome.done));
    };
    const tasks = [
      async () => {
        const shown = await journal.attempt('checkpoint', () => decider.audit.checkpoint());
        if ('done' in shown) checkpoints.push(shown.done);
      },
      async () => {
        const guard = client('housekeeper', lab, { device: DeviceKey.generate() });
        const enrolled = await journal.attempt('enrol', () => guard.enroll('another bench'));
        guard.close();
        if (!('done' in enrolled)) return;
        const { device, fingerprint } = enrolled.done;
        journal.devices.set(device.id, 'pending');
        journal.event('devices.enroll', `device:${device.id}`);
        const approved = await journal.attempt('approve', () => decider.devices.approve(device.id, fingerprint));
        if ('done' in approved) journal.devices.set(device.id, 'approved');
        noted(approved, 'devices.approve', ({ id }) => `device:${id}`);
      },
      async () => {
        const made = await journal.attempt('entitle', () => decider.entitlements.create({ name: 'spare', account: lab.id }));
        if ('done' in made) journal.entitlements.add(made.done.id);
        noted(made, 'entitlements.create', ({ id }) => `entitlement:${id}`);
      },
      async () => {
        const name = `archive-${this.#count++}`;
        const { file, key } = archive;
        const registered = await journal.attempt('archive', () => decider.archives.register(file, { name, key }));
        if (!('done' in registered)) return;
        noted(registered, 'archives.register', () => `archive:${name}`);
        const terms = { kind: 'archive', name, account: auditor.id } as const;
        const entitled = await journal.attempt('entitle', () => decider.entitlements.create(terms));
        if (!('done' in entitled)) return;
        noted(entitled, 'entitlements.create', ({ id }) => `entitlement:${id}`);
        journal.entitlements.add(entitled.done.id);
        journal.archives.add(name);
      },
    ];
    await random.pick(tasks)();
  }
}
