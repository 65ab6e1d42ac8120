/**
 * A protect is killed at every call by which it changes the disk, and at random moments. The store always loads,
 * as it was before or with the new model, and the next protect leaves nothing astray.
 */
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { CrashLab, type Scenario } from '../support/crash-lab.js';
import { makeKeyring } from '../support/keyring.js';
import { print } from '../support/print.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { skipTest } from '../support/shared.js';
import { type Call, hasStrace } from '../support/strace.js';
import { temporaryFolder } from '../support/temp.js';

const RANDOM_MOMENTS = 20;
const OVERWRITE: Scenario = { ref: 'net@1', how: 'overwrite', before: 'old' };
const FIRST: Scenario = { ref: 'other@1', how: 'first', before: 'absent' };
const folder = temporaryFolder('crash');
const random = seeded('crash');
let lab: CrashLab;

beforeAll(async () => {
  lab = new CrashLab(folder, await makeKeyring(folder, random), random);
  await lab.begin();
});

// Threads wake each other through event descriptors; that is no disk.
const onDisk = ({ paths, syscall }: Call): boolean => paths.length > 0 || !syscall.includes('write');

/** All points, or with MG_SCALE a part of them: at least one of each kind. */
function sample(points: readonly Call[]): readonly Call[] {
  const kept = new Set<Call>();
  for (const syscall of new Set(points.map((call) => call.syscall))) {
    kept.add(random.pick(points.filter((call) => call.syscall === syscall)));
  }
  for (const call of random.shuffle(points)) if (kept.size < scaled(points.length, 1)) kept.add(call);
  return points.filter((call) => kept.has(call));
}

function count(words: Iterable<string>): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, times]) => `${times} ${word}`).join(', ');
}

const NEEDED = ['openat', 'pwrite64', 'fsync', 'mkdir', 'unlink'];

describe('a protect that is killed', () => {
  it.for([
    ['over an existing model', OVERWRITE, 'rename'],
    ['of a new model beside others', FIRST, 'link'],
  ] as const)('%s, at every call that changes the disk, leaves the store whole', async ([what, scenario, commit], context) => {
    if (!hasStrace()) skipTest(context, 'strace is absent');
    const { calls, known } = await lab.list(scenario);
    const points = calls.filter(onDisk);
    const kinds = new Set(points.map(({ syscall }) => syscall));
    for (const call of [...NEEDED, commit]) expect([...kinds], 'the list of calls is incomplete').toContain(call);
    const chosen = sample(points);
    const states: string[] = [];
    for (const call of chosen) {
      const state = await lab.killAt(scenario, call, known);
      expect(state, `the run was not killed at ${call.text.slice(0, 120)}`).not.toBe('finished');
      states.push(state);
    }
    print(
      `crash, ${what}: killed at ${chosen.length} of ${points.length} points (${count(chosen.map(({ syscall }) => syscall))}); afterwards ${count(states)}`,
    );
    expect(states, 'no kill came before the commit').toContain(scenario.before);
  });

  it('over an existing model, at random moments, leaves the store whole', async (context) => {
    if (!hasStrace()) skipTest(context, 'strace is absent');
    const { calls, known } = await lab.list(OVERWRITE, ['all']);
    // Threads wait for each other differently in each run; all else is the same every time.
    const waiting = /^(futex|epoll_\w+|poll|eventfd\w*|sched_\w+|restart_syscall|getpid|gettid|clock_\w+|rt_\w+)$/;
    const moments = calls.filter((call) => !waiting.test(call.syscall) && onDisk(call));
    const wanted = scaled(RANDOM_MOMENTS, 5);
    const states: string[] = [];
    for (const call of random.shuffle(moments)) {
      if (states.filter((state) => state !== 'finished').length === wanted) break;
      states.push(await lab.killAt(OVERWRITE, call, known));
    }
    const killed = states.filter((state) => state !== 'finished').length;
    print(`crash: killed at ${killed} random moments of ${moments.length}; afterwards ${count(states)}`);
    expect(killed, 'most moments did not come again').toBe(wanted);
  });
});

describe('a protect that survives a power cut', () => {
  it.for([
    ['over an existing model', OVERWRITE],
    ['of a new model', FIRST],
  ] as const)('%s syncs each file before it is named, and its folder before the next step', async ([, scenario], context) => {
    if (!hasStrace()) skipTest(context, 'strace is absent');
    const { calls } = await lab.list(scenario);
    const at = (test: (call: Call) => boolean, from = 0): number => calls.findIndex((call, index) => index >= from && test(call));
    const named = calls.filter(({ syscall }) => syscall === 'rename' || syscall === 'link');
    expect(named.length, 'big part, tree and small part get their names').toBe(3);
    let previous = 0;
    for (const call of named) {
      const [temporary = '', target = ''] = call.paths;
      const written = calls.map(({ syscall, paths }) => syscall.includes('write') && paths[0] === temporary).lastIndexOf(true);
      const synced = at(({ syscall, paths }) => syscall === 'fsync' && paths[0] === temporary, written);
      const naming = calls.indexOf(call);
      const folderSynced = at(({ syscall, paths }) => syscall === 'fsync' && paths[0] === path.dirname(target), naming);
      expect(written, `no write to ${temporary}`).toBeGreaterThanOrEqual(0);
      expect(synced, `${target} is not synced before it gets its name`).toBeGreaterThan(written);
      expect(naming, `${target} gets its name before it is synced`).toBeGreaterThan(synced);
      expect(folderSynced, `the folder of ${target} is not synced`).toBeGreaterThan(naming);
      expect(naming, `${target} is named before what it needs is there for good`).toBeGreaterThan(previous);
      previous = folderSynced;
    }
    expect(named.at(-1)?.paths[1], 'the small part is not the last to be named').toContain('/small/');
    const removed = at(({ syscall, paths }) => syscall === 'unlink' && !(paths[0] ?? '').includes('.tmp-'));
    if (scenario === OVERWRITE)
      expect(removed, 'the old big part goes before the new small part is for good').toBeGreaterThan(previous);
  });
});
