/**
 * Show 11: a protect that replaces a published model is killed at every call by which it changes the disk, and at random
 * moments. The store always loads, as the old model or as the new one, and the next protect leaves nothing astray.
 */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { fileStore, load, protect } from '../../src/index.js';
import { same } from '../reference/bytes.js';
import { parseHeader } from '../reference/header.js';
import { type Child, startChild } from '../support/children.js';
import { type Keyring, makeKeyring } from '../support/keyring.js';
import { Needles } from '../support/needles.js';
import { print } from '../support/print.js';
import { scaled } from '../support/sample.js';
import { seeded } from '../support/seed.js';
import { skipTest } from '../support/shared.js';
import { attach, type Call, DISK_CALLS, hasStrace, readCalls, type Thread, threads } from '../support/strace.js';
import { temporaryFolder } from '../support/temp.js';

const RANDOM_MOMENTS = 20;
const SIZE = 3_000_000;
const folder = temporaryFolder('crash');
const random = seeded('crash');
const source = path.join(folder, 'new.bin');
const original = path.join(folder, 'original');
const markers = new Needles();
let keys: Keyring;
let plainOld: Uint8Array;
let plainNew: Uint8Array;

beforeAll(async () => {
  keys = await makeKeyring(folder, random);
  plainOld = random.bytes(SIZE);
  plainNew = random.bytes(SIZE + 1000);
  for (let at = 0; at < SIZE; at += 65_536) markers.addRaw('new', plainNew.slice(at, at + 32)).addRaw('old', plainOld.slice(at, at + 32));
  writeFileSync(source, plainOld);
  await protect(source, { name: 'net', version: '1', recipients: [keys.master], to: fileStore(original) });
  writeFileSync(source, plainNew);
});

interface Run {
  readonly child: Child;
  readonly store: string;
  readonly threads: readonly Thread[];
}

let runs = 0;

/** A child that is ready to replace the model in a store of its own. One core, so that the engine has one thread. */
async function prepare(): Promise<Run> {
  runs += 1;
  const below = path.join(folder, `run-${runs}`);
  const store = path.join(below, 'store');
  cpSync(original, store, { recursive: true });
  const child = startChild('overwrite.ts', {
    args: [source, path.join(below, 'warm-up'), store, keys.files.master],
    env: { UV_THREADPOOL_SIZE: '1' },
    prefix: ['taskset', '-c', firstCpu()],
  });
  await child.waitFor('ready');
  return { child, store, threads: threads(child.pid) };
}

function firstCpu(): string {
  const allowed = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  if (allowed === undefined) throw new Error('this process may use no CPU');
  return allowed;
}

/** The calls of a run that nobody disturbs. */
async function listCalls(trace: string): Promise<{ readonly calls: readonly Call[]; readonly known: readonly Thread[] }> {
  const { child, store, threads: known } = await prepare();
  const log = path.join(folder, `calls-${runs}.txt`);
  const tids = known.map(({ tid }) => tid);
  const tracer = await attach(tids, ['-o', log, '-e', `trace=${trace}`, '-e', 'signal=none']);
  child.say('go');
  await child.waitFor('done');
  await Promise.all([child.ended, tracer.ended]);
  expect(await outcome(store), 'an undisturbed protect does not publish the new model').toBe('new');
  return { calls: readCalls(log, known), known };
}

/** What the store loads as; anything but the whole old or the whole new model is a failure. */
async function outcome(store: string): Promise<'old' | 'new'> {
  using model = await load('net@1', { from: fileStore(store), identities: [keys.master], unsigned: 'accept' });
  if (same(model.bytes, plainOld)) return 'old';
  if (same(model.bytes, plainNew)) return 'new';
  throw new Error('the store holds a mixture');
}

function filesBelow(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(path.join(root, name)).isFile())
    .sort();
}

function expectNoPlaintext(store: string, when: string): void {
  const found: string[] = [];
  for (const name of filesBelow(store)) markers.scan(readFileSync(path.join(store, name)), (what) => found.push(`${what} in ${name}`));
  expect(found, `plaintext on the disk ${when}`).toEqual([]);
}

/** The next protect publishes, and what the crash left is gone after it. */
async function expectRecovery(store: string, when: string): Promise<void> {
  const to = fileStore(store, { graceMs: 0 });
  await protect(source, { name: 'net', version: '1', recipients: [keys.master], to, overwrite: true });
  await to.collect();
  expect(await outcome(store), `protecting again ${when}`).toBe('new');
  const small = readFileSync(path.join(store, 'small/net/1'));
  const { facts, length } = parseHeader(small);
  const big = `big/${facts.payloadId}-${small.length - length}`;
  expect(filesBelow(store), `something astray is left ${when}`).toEqual([big, `${big}.tree`, 'small/net/1'].sort());
}

/** Kills a run when that thread makes that call for the nth time, before the call takes effect. */
async function killAt(call: Call, known: readonly Thread[]): Promise<'old' | 'new' | 'finished'> {
  const run = await prepare();
  const when = `after a kill at ${call.text.slice(0, 80)}`;
  expect(run.threads.map(({ name }) => name), 'another run has other threads').toEqual(known.map(({ name }) => name));
  const tid = run.threads[call.thread]?.tid ?? 0;
  const inject = `inject=${call.syscall}:signal=KILL:when=${call.count}`;
  const tracer = await attach([tid], ['-o', '/dev/null', '-e', `trace=${call.syscall}`, '-e', inject]);
  run.child.say('go');
  const [{ signal, code, stderr }] = await Promise.all([run.child.ended, tracer.ended]);
  if (signal !== 'SIGKILL') expect(code, `the child failed by itself: ${stderr}`).toBe(0);
  expectNoPlaintext(run.store, when);
  const state = await outcome(run.store);
  await expectRecovery(run.store, when);
  rmSync(path.dirname(run.store), { recursive: true });
  return signal === 'SIGKILL' ? state : 'finished';
}

const PROCESS_CALLS = /^(futex|epoll_\w+|poll|eventfd\w*|sched_\w+|restart_syscall|exit\w*|getpid|gettid|clock_\w+|rt_\w+)$/;

describe('a protect over an existing model', () => {
  it('killed at every call that changes the disk leaves the old model or the new one', async (context) => {
    if (!hasStrace()) skipTest(context, 'strace is absent');
    mkdirSync(folder, { recursive: true });
    const { calls, known } = await listCalls(DISK_CALLS.map((name) => `?${name}`).join(','));
    const points = calls.filter(({ syscall, text }) => syscall !== 'write' || !/^write\(\d+, "\\1\\0\\0\\0\\0\\0\\0\\0", 8/.test(text));
    const chosen = sample(points);
    const states = new Map<string, number>();
    for (const call of chosen) {
      const state = await killAt(call, known);
      expect(state, `the run was not killed at ${call.text.slice(0, 80)}`).not.toBe('finished');
      states.set(state, (states.get(state) ?? 0) + 1);
    }
    const kinds = new Map<string, number>();
    for (const { syscall } of chosen) kinds.set(syscall, (kinds.get(syscall) ?? 0) + 1);
    const list = [...kinds].map(([syscall, count]) => `${count} ${syscall}`).join(', ');
    print(`crash: killed at ${chosen.length} of ${points.length} points (${list}); the store was old ${states.get('old') ?? 0} times, new ${states.get('new') ?? 0} times`);
    expect(states.get('old'), 'no kill left the old model').toBeGreaterThan(0);
    for (const needed of ['openat', 'pwrite64', 'fsync', 'rename', 'unlink', 'mkdir']) {
      expect([...kinds.keys()], `no ${needed} was seen: the list of calls is incomplete`).toContain(needed);
    }
  });

  it('killed at random moments leaves the old model or the new one', async (context) => {
    if (!hasStrace()) skipTest(context, 'strace is absent');
    const { calls, known } = await listCalls('all');
    // Waiting differs from run to run; everything else is the same every time.
    const moments = random.shuffle(calls.filter(({ syscall }) => !PROCESS_CALLS.test(syscall)));
    const wanted = scaled(RANDOM_MOMENTS, 5);
    const states = new Map<string, number>();
    let killed = 0;
    for (const call of moments.slice(0, wanted * 2)) {
      if (killed === wanted) break;
      const state = await killAt(call, known);
      states.set(state, (states.get(state) ?? 0) + 1);
      if (state !== 'finished') killed += 1;
    }
    const list = [...states].map(([state, count]) => `${count} ${state}`).join(', ');
    print(`crash: killed at ${killed} random moments of ${moments.length} (${list})`);
    expect(killed, 'most moments did not come again').toBe(wanted);
  });
});

/** All points, or with MG_SCALE a part of them: at least one of each kind. */
function sample(points: readonly Call[]): readonly Call[] {
  const kept = new Set<Call>();
  for (const syscall of new Set(points.map((call) => call.syscall))) kept.add(random.pick(points.filter((call) => call.syscall === syscall)));
  for (const call of random.shuffle(points)) if (kept.size < scaled(points.length, 1)) kept.add(call);
  return points.filter((call) => kept.has(call));
}
