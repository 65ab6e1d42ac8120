/** Invariants that must hold after every restart, checked while no client runs. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { load, type ModelVersion, verifyAuditLog } from '@org/model-guard';
import { givenBack } from './history.js';
import { digestOf, later, type Progress } from './journal.js';
import { NAMES, type World } from './world.js';

/** Parts and trees that the contract could name. */
const PART = /^[0-9a-f]{32}-[0-9]+(\.tree)?$/;
const OLD_ONES = 2;

/** Counts of the checks. */
export interface CheckedState {
  versions: number;
  loads: number;
  unlocks: number;
  leases: number;
  events: number;
  checkpoints: number;
  /** Leases that were granted, although the answer was lost. */
  untold: number;
  temporary: number;
}

export class Checks {
  readonly #world: World;
  readonly counted: CheckedState = {
    versions: 0,
    loads: 0,
    unlocks: 0,
    leases: 0,
    events: 0,
    checkpoints: 0,
    untold: 0,
    temporary: 0,
  };
  #verified = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get #faults(): string[] {
    return this.#world.journal.faults;
  }
  #expect(fact: boolean, fault: () => string): void {
    if (!fact) this.#faults.push(fault());
  }

  /** Checks the changes that were under way at the kill, some old ones, and the seats. */
  async afterRestart(): Promise<void> {
    const { auditor, journal, random, checkpoints } = this.#world;
    const { guard } = auditor;
    const refs = [...journal.touched];
    journal.touched.clear();
    const released = [...journal.versions].filter(([, { least }]) => least === 'released').map(([ref]) => ref);
    for (let n = 0; n < OLD_ONES && released.length > 0; n++) refs.push(random.pick(released));
    for (const ref of new Set(refs)) await this.#version(ref, await guard.models.get(ref).catch(() => undefined));
    await this.#seats();
    // In the middle of a restart's work too, a position of the log is one that the export will show.
    checkpoints.push(await guard.audit.checkpoint());
  }

  /** Everything. */
  async all(): Promise<void> {
    const { auditor, journal } = this.#world;
    const listed = new Map<string, ModelVersion>();
    for await (const one of auditor.guard.models.list()) listed.set(`${one.name}@${one.version}`, one);
    for (const ref of journal.versions.keys()) await this.#version(ref, listed.get(ref), false);
    for (const ref of listed.keys()) this.#expect(journal.versions.has(ref), () => `no client published ${ref}`);
    for (const [ref, { state }] of listed) if (state === 'released') await this.#loads(ref);
    await this.#seats();
    await this.#accessRows();
    await this.#archives();
    await this.#temporaryFiles();
    await this.#auditLog(listed);
  }

  async #version(ref: string, found: ModelVersion | undefined, loading = true): Promise<void> {
    const { journal, folder } = this.#world;
    const record = journal.versions.get(ref);
    if (!record) return;
    this.counted.versions++;
    const state: Progress = (found?.state ?? 'absent') as Progress;
    this.#expect(!later(record.least, state), () => `${ref} was ${record.least}, and is ${state}`);
    this.#expect(!later(state, record.most), () => `${ref} is ${state}; no client asked for more than ${record.most}`);
    if (!found) return;
    const big = join(folder, 'data', 'parts', 'big', found.bigName);
    const size = statSync(big, { throwIfNoEntry: false })?.size;
    this.#expect(size === found.bigBytes, () => `the big part of ${ref} has ${size} bytes, not ${found.bigBytes}`);
    if (loading && found.state === 'released') await this.#loads(ref);
  }

  async #loads(ref: string): Promise<void> {
    const { auditor, journal } = this.#world;
    using model = await load(ref, { from: auditor.guard });
    this.counted.loads++;
    this.#expect(journal.versions.get(ref)?.contents.includes(digestOf(model.bytes)) === true, () => `${ref} is something else`);
  }

  /** Never more devices than seats, and no acknowledged lease is gone. */
  async #seats(): Promise<void> {
    const { auditor, journal, seats } = this.#world;
    const active = new Map<string, { name: string; device: string }>();
    for await (const { id, name, device } of auditor.guard.leases.list({ active: true })) active.set(id, { name, device });
    for (const name of NAMES) {
      const holding = [...active.values()].filter((lease) => lease.name === name && lease.device !== auditor.id);
      const devices = new Set(holding.map(({ device }) => device)).size;
      this.#expect(devices <= seats, () => `${devices} devices sit on the ${seats} seats of ${name}`);
      this.#expect(holding.length === devices, () => `a device holds several leases of ${name}`);
    }
    for (const { id, state, name, version } of journal.leases.values()) {
      this.#expect(state !== 'active' || active.has(id), () => `the lease ${id} of ${name}@${version} is gone`);
      this.#expect(state !== 'ended' || !active.has(id), () => `the lease ${id} of ${name} was ended, and goes on`);
    }
    this.counted.leases += active.size;
  }

  async #accessRows(): Promise<void> {
    const { auditor, journal } = this.#world;
    const { guard } = auditor;
    const devices = new Map<string, string>();
    for await (const { id, state } of guard.devices.list()) devices.set(id, state);
    for (const [id, least] of journal.devices)
      this.#expect(devices.get(id) === 'approved' || devices.get(id) === least, () => `device ${id} is ${devices.get(id)}`);
    const rows: Record<string, { wanted: Iterable<string>; found: Set<string> }> = {
      entitlement: { wanted: journal.entitlements, found: await idsOf(guard.entitlements.list(), ({ id }) => id) },
      lease: { wanted: journal.leases.keys(), found: await idsOf(guard.leases.list(), ({ id }) => id) },
      archive: { wanted: journal.archives, found: await idsOf(guard.archives.list(), ({ name }) => name) },
    };
    for (const [what, { wanted, found }] of Object.entries(rows))
      for (const id of wanted) this.#expect(found.has(id), () => `the ${what} ${id} is gone`);
    const { rotations } = await guard.keys.list();
    const known = new Map(rotations.map((rotation) => [rotation.id, rotation.state]));
    // The list ends somewhere.
    for (const id of [...journal.rotations].slice(-50)) this.#expect(known.has(id), () => `the rotation ${id} is gone`);
    const running = rotations.filter(({ state }) => state === 'running').length;
    this.#expect(running <= 1, () => `${running} rotations run`);
  }

  async #archives(): Promise<void> {
    const { auditor, journal, archive, random } = this.#world;
    const names = [...journal.archives];
    for (const name of random.shuffle(names).slice(0, OLD_ONES)) {
      const unlocking = auditor.guard.unlock(archive.file, { name, unsigned: 'accept' });
      const plain = await buffer(unlocking.stream);
      this.counted.unlocks++;
      this.#expect(plain.equals(archive.plain), () => `${name} unlocks to something else`);
    }
  }

  /** Files that a kill left in the folder of parts are not served under any name. */
  async #temporaryFiles(): Promise<void> {
    const { folder, url } = this.#world;
    const files = readdirSync(join(folder, 'data', 'parts', 'big')).filter((name) => !PART.test(name));
    for (const name of files) {
      const address = `${url}/parts/${encodeURIComponent(name)}?expires=9999999999&signature=${'A'.repeat(43)}`;
      const { status } = await fetch(address);
      this.#expect(status >= 400 && status < 500, () => `${name} is answered with ${status}`);
    }
    this.counted.temporary = files.length;
  }

  /** Every checkpoint that was ever shown is on the chain; every acknowledged action has its event, and no event lacks its effect. */
  async #auditLog(listed: ReadonlyMap<string, ModelVersion>): Promise<void> {
    const { auditor, journal, checkpoints, auditKey } = this.#world;
    const log = await exported(auditor.guard);
    for (const checkpoint of checkpoints.slice(this.#verified)) await verifyAuditLog(log, { checkpoint, key: auditKey });
    this.counted.checkpoints += checkpoints.length - this.#verified;
    this.#verified = checkpoints.length;

    const found = new Map<string, number>();
    const [, ...lines] = log.toString('utf8').trimEnd().split('\n');
    for (const line of lines) {
      const { action, outcome, resource } = JSON.parse(line) as Record<string, string>;
      const key = `${action} ${resource}`;
      if (outcome === 'success') found.set(key, (found.get(key) ?? 0) + 1);
    }
    this.counted.events = lines.length;
    for (const [event, least] of journal.events) {
      const count = found.get(event) ?? 0;
      this.#expect(count >= least, () => `${least} times acknowledged, ${count} times in the log: ${event}`);
    }
    for (const event of found.keys()) {
      const ref = /^models\.publish model:(.*)$/.exec(event)?.[1];
      if (ref !== undefined) this.#expect(listed.has(ref), () => `the log tells of ${ref}, which is not there`);
    }
    for (const ref of listed.keys())
      this.#expect(found.has(`models.publish model:${ref}`), () => `${ref} is there, and the log does not tell of it`);
    const taken = [...found].reduce((sum, [event, count]) => sum + (event.startsWith('leases.take ') ? count : 0), 0);
    const leases = new Set<string>();
    let benches = 0;
    for await (const { id, device } of auditor.guard.leases.list()) {
      leases.add(id);
      if (device !== auditor.id) benches++;
    }
    // One that a later lease had superseded by then keeps its row.
    const returned = [...(await givenBack(auditor.guard))].filter((id) => !leases.has(id)).length;
    this.#expect(
      taken - returned === leases.size,
      () => `the log tells of ${taken} leases, of which ${returned} were given back; there are ${leases.size}`,
    );
    this.counted.untold = benches - journal.leases.size - journal.leasesToldByLoads;
  }
}

const exported = (guard: World['auditor']['guard']): Promise<Buffer> => buffer(guard.audit.export());

async function idsOf<Row>(rows: AsyncIterable<Row>, idOf: (row: Row) => string): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const row of rows) ids.add(idOf(row));
  return ids;
}
