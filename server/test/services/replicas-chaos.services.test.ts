/**
 * Three servers on one database, one of them killed (SIGKILL) every few seconds and started again, while 64 devices take, renew and lose
 * leases, and others publish, release, revoke, rotate and approve. No seat is given twice, the log holds, and nothing that was
 * acknowledged is lost. The seed repeats what the clients do, not the moments at which the kills strike.
 */
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { print } from '../../../test/support/print.js';
import { scaled } from '../../../test/support/sample.js';
import { seeded } from '../../../test/support/seed.js';
import { type Balancer, makeBalancer } from '../support/balancer.js';
import { Checks } from '../support/crash/checks.js';
import { type LeaseRow, replay } from '../support/crash/history.js';
import { KINDS } from '../support/crash/journal.js';
import { Load } from '../support/crash/load.js';
import { populate, type World } from '../support/crash/world.js';
import { makeReplicas, type Replicas } from '../support/replicas.js';
import { expectNoSecrets, KnownSecrets } from '../support/secrets-in-logs.js';
import { builtCommand } from '../support/server-process.js';

const KILLS = scaled(20, 3);
const DEVICES = 64;
const SEATS = 8;
/** Acknowledgements between two kills, at least. */
const WORK = 100;
/** The kill strikes somewhere in this time after them. */
const SECOND = 1000;

const random = seeded('chaos');
const secrets = new KnownSecrets();
let built: Awaited<ReturnType<typeof builtCommand>>;
let replicas: Replicas;
let balancer: Balancer;
let world: World;
let load: Load | undefined;

beforeAll(async () => {
  built = await builtCommand();
  replicas = await makeReplicas(built.command, random);
  const urls = replicas.all.map(({ url }) => url);
  balancer = await makeBalancer(urls, random);
  const [said] = await replicas.start();
  const { folder } = replicas;
  const place = { url: balancer.url, serverKey: said?.signing_key ?? '', folder };
  world = await populate({ ...place, random, secrets, devices: DEVICES, seats: SEATS, lenient: true });
});
afterAll(async () => {
  await load?.end();
  await balancer?.close();
  await replicas?.remove();
  await built?.remove();
});

/** Kills a replica in the middle of its work. Clients with open requests lose their answers; the rest go on at once. */
async function killOne(): Promise<void> {
  const { gate } = world;
  const { process, url } = random.pick(replicas.all);
  balancer.leave(url);
  gate.shut();
  await process.kill();
  gate.open();
  await process.start();
  balancer.enter(url);
}

async function rowsOf<Row>(table: string): Promise<Row[]> {
  const client = new Client({ connectionString: replicas.database });
  await client.connect();
  try {
    return (await client.query(`select * from ${table}`)).rows;
  } finally {
    await client.end();
  }
}

const leaseRows = async () =>
  (await rowsOf<LeaseRow>('leases')).map((row) => ({
    ...row,
    not_after: Number(row.not_after),
    offline_until: Number(row.offline_until),
    created: Number(row.created),
  }));

it(`survives ${KILLS} kills`, async () => {
  const { journal, auditor } = world;
  const checks = new Checks(world);
  const began = performance.now();
  load = new Load(world);
  for (let kill = 1; kill <= KILLS; kill++) {
    await journal.after(WORK);
    await new Promise((resolve) => setTimeout(resolve, random.integer(SECOND)));
    await killOne();
    // In the middle of it all, a position of the log is one that the export will show.
    world.checkpoints.push(await auditor.guard.audit.checkpoint());
    expect(journal.faults, `after kill ${kill}`).toEqual([]);
  }
  await journal.after(WORK);
  await load.end();
  const rotation = [...journal.rotations].at(-1);
  while (rotation !== undefined && (await auditor.guard.keys.rotation(rotation)).state === 'running');

  await checks.all();
  const seats = (await rowsOf<{ id: string; seats: string }>('entitlements')).map((one) => [one.id, Number(one.seats)] as const);
  expect(checks.counted.checkpoints).toBeGreaterThanOrEqual(KILLS);
  // A request that its client gave up may still commit a lease: rows and log are compared once none came between them.
  let leases = await leaseRows();
  let history = await replay(auditor.guard, leases, new Map(seats));
  for (let now = await leaseRows(); now.length !== leases.length; now = await leaseRows()) {
    leases = now;
    history = await replay(auditor.guard, leases, new Map(seats));
  }
  expect([...journal.faults, ...history.faults]).toEqual([]);
  expect(history.granted).toBe(leases.length);

  secrets.keyFiles(join(replicas.folder, 'data', 'keys'));
  const lines = replicas.all.flatMap(({ process }) => process.output);
  expectNoSecrets(secrets, lines);
  const seconds = Math.round((performance.now() - began) / 1000);
  const counts = (all: Iterable<readonly [string, unknown]>): string =>
    [...all].map(([what, count]) => `${what} ${count}`).join(', ');
  print(`${KILLS} kills among ${replicas.all.length} servers in ${seconds} s, under ${load.workers} workers`);
  print(`acknowledged: ${counts(KINDS.map((kind) => [kind, journal.acknowledged.get(kind) ?? 0]))}`);
  print(`answers lost: ${counts(Object.entries(journal.lost))}; refused: ${counts(journal.refusals)}`);
  print(
    `checked: ${counts(Object.entries(checks.counted))}; at most ${history.most} of ${SEATS} seats, ${history.ended} leases ended`,
  );
}, 1_800_000);
