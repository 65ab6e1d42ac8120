/**
 * The server is killed (SIGKILL) while clients publish, release, rotate and lease. Nothing that it has acknowledged is lost, and nothing
 * that is half done shows. The seed repeats what the clients do, not the moments at which the kills strike.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { print } from '../../../test/support/print.js';
import { scaled } from '../../../test/support/sample.js';
import { seeded } from '../../../test/support/seed.js';
import { Checks } from '../support/crash/checks.js';
import { KINDS } from '../support/crash/journal.js';
import { Load } from '../support/crash/load.js';
import { makeWorld } from '../support/crash/world.js';
import { expectNoSecrets, KnownSecrets } from '../support/secrets-in-logs.js';
import { builtCommand } from '../support/server-process.js';

const KILLS = scaled(100, 10);
/** Kills between two looks at everything. */
const EVERYTHING = Math.max(5, Math.ceil(KILLS / 5));
const AIMS = ['publish', 'release', 'rotate', 'lease'] as const;
/** Acknowledgements between two kills, at least. */
const WORK = 6;

const random = seeded('crash');
const folder = mkdtempSync(join(tmpdir(), 'guard-crash-'));
const secrets = new KnownSecrets();
let built: Awaited<ReturnType<typeof builtCommand>>;
let world: Awaited<ReturnType<typeof makeWorld>>;
beforeAll(async () => {
  built = await builtCommand();
  world = await makeWorld(built.command, folder, random, secrets);
});
afterAll(async () => {
  await world?.process.kill();
  await built?.remove();
  rmSync(folder, { recursive: true, force: true });
});

/** At a random moment of the next action of that kind; half of them when it is about to be answered. */
async function killDuring(aim: (typeof AIMS)[number]): Promise<void> {
  const { gate, journal, process } = world;
  await journal.next(aim);
  const usual = Math.ceil(journal.usual(aim));
  const milliseconds = random.integer(2) === 0 ? random.integer(usual) : 0.7 * usual + random.integer(Math.ceil(0.5 * usual));
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  gate.shut();
  await process.kill();
}

it(`survives ${KILLS} kills`, async () => {
  const { gate, journal, process, auditor } = world;
  const checks = new Checks(world);
  const load = new Load(world);
  const began = performance.now();
  for (let kill = 1; kill <= KILLS; kill++) {
    await journal.after(WORK);
    await killDuring(AIMS[kill % AIMS.length] ?? 'publish');
    await process.start();
    await gate.quiet(load.workers);
    await checks.afterRestart();
    if (kill % EVERYTHING === 0) await checks.all();
    expect(journal.faults, `after kill ${kill}`).toEqual([]);
    gate.open();
  }
  await journal.after(WORK);
  await load.end();
  const rotation = [...journal.rotations].at(-1);
  while (rotation !== undefined && (await auditor.guard.keys.rotation(rotation)).state === 'running');
  await checks.all();
  expect(journal.faults).toEqual([]);

  secrets.keyFiles(join(folder, 'data', 'keys'));
  expectNoSecrets(secrets, process.output);
  const keyFiles = readdirSync(join(folder, 'data', 'keys'));
  const { keys } = await auditor.guard.keys.list();
  const seconds = Math.round((performance.now() - began) / 1000);
  const counts = (all: Iterable<readonly [string, unknown]>): string =>
    [...all].map(([what, count]) => `${what} ${count}`).join(', ');
  const [usual, last] = [median(process.starts), median(process.starts.slice(-5))];
  print(`${KILLS} kills in ${seconds} s; a start took ${usual} ms (median), with ${keyFiles.length} key files ${last} ms`);
  print(`acknowledged: ${counts(KINDS.map((kind) => [kind, journal.acknowledged.get(kind) ?? 0]))}`);
  print(`answers lost: ${counts(Object.entries(journal.lost))}; refused: ${counts(journal.refusals)}`);
  print(`checked: ${counts(Object.entries(checks.counted))}; ${keyFiles.length} key files, ${keys.length} encryption keys`);
  print(`${process.output.length} lines of log hold none of ${secrets.count} secrets`);
}, 1_800_000);

const median = (all: readonly number[]): number => Math.round([...all].sort((a, b) => a - b)[all.length >> 1] ?? 0);
