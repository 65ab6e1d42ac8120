/** A laboratory for crashes: a store, a child that publishes into it, and a hand that kills the child at a chosen call. */
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { fileStore, load, protect } from '../../src/index.js';
import { same } from '../reference/bytes.js';
import { parseHeader } from '../reference/header.js';
import { type Child, startChild } from './children.js';
import type { Keyring } from './keyring.js';
import { Needles } from './needles.js';
import type { Random } from './seed.js';
import { attach, type Call, DISK_CALLS, readCalls, type Thread, threads } from './strace.js';

export type Outcome = 'absent' | 'old' | 'new';
export interface Scenario {
  readonly ref: string;
  readonly how: 'overwrite' | 'first';
  /** What the store may hold under `ref` before. */
  readonly before: Outcome;
}
interface Run {
  readonly child: Child;
  readonly store: string;
  readonly threads: readonly Thread[];
}

const SIZE = 3_000_000;

export class CrashLab {
  readonly #folder: string;
  readonly #keys: Keyring;
  readonly #plain: { readonly old: Uint8Array; readonly new: Uint8Array };
  readonly #markers = new Needles();
  #runs = 0;

  constructor(folder: string, keys: Keyring, random: Random) {
    this.#folder = folder;
    this.#keys = keys;
    this.#plain = { old: random.bytes(SIZE), new: random.bytes(SIZE + 1000) };
    for (const [what, bytes] of Object.entries(this.#plain)) {
      for (let at = 0; at < SIZE; at += 65_536) this.#markers.addRaw(what, bytes.slice(at, at + 32));
    }
  }

  get #source(): string {
    return path.join(this.#folder, 'model.bin');
  }

  get #original(): string {
    return path.join(this.#folder, 'original');
  }

  /** Publishes the old model as net@1; from now on the source is the new one. */
  async begin(): Promise<void> {
    writeFileSync(this.#source, this.#plain.old);
    await this.#publish(this.#original, { ref: 'net@1', how: 'first', before: 'absent' });
    writeFileSync(this.#source, this.#plain.new);
  }

  async #publish(store: string, { ref }: Scenario): Promise<void> {
    const [name = '', version = ''] = ref.split('@');
    const to = fileStore(store, { graceMs: 0 });
    await protect(this.#source, { name, version, recipients: [this.#keys.master], to, overwrite: true });
    await to.collect();
  }

  /** A child that is ready to publish into a store of its own. One core, so that the engine has one thread. */
  async #prepare({ ref, how }: Scenario): Promise<Run> {
    this.#runs += 1;
    const below = path.join(this.#folder, `run-${this.#runs}`);
    const store = path.join(below, 'store');
    cpSync(this.#original, store, { recursive: true });
    const child = startChild('overwrite.ts', {
      args: [this.#source, path.join(below, 'warm-up'), store, this.#keys.files.master, ref, how],
      env: { UV_THREADPOOL_SIZE: '1' },
      prefix: ['taskset', '-c', firstCpu()],
    });
    await child.waitFor('ready');
    return { child, store, threads: threads(child.pid) };
  }

  /** The calls of a run that nobody disturbs, up to its end. */
  async list(
    scenario: Scenario,
    trace: readonly string[] = DISK_CALLS,
  ): Promise<{ readonly calls: readonly Call[]; readonly known: readonly Thread[] }> {
    const { child, store, threads: known } = await this.#prepare(scenario);
    const log = path.join(this.#folder, `calls-${this.#runs}.txt`);
    const wanted = `trace=${trace.map((name) => (name === 'all' ? name : `?${name}`)).join(',')}`;
    const tracer = await attach(
      known.map(({ tid }) => tid),
      ['-y', '-o', log, '-e', wanted, '-e', 'signal=none'],
    );
    child.say('go');
    await child.waitFor('done');
    await Promise.all([child.ended, tracer.ended]);
    expect(await this.outcome(store, scenario.ref), 'an undisturbed protect does not publish').toBe('new');
    const calls = readCalls(log, known);
    const end = calls.findIndex(({ text }) => /^write\(1<[^>]*>, "done/.test(text));
    expect(end, 'the trace does not show the end of the work').toBeGreaterThan(0);
    return { calls: calls.slice(0, end), known };
  }

  /** What the store holds under a reference; anything but one whole model, or none, is a failure. */
  async outcome(store: string, ref: string): Promise<Outcome> {
    const [name = '', version = ''] = ref.split('@');
    const from = fileStore(store);
    let published = false;
    for await (const one of from.list()) published ||= one.name === name && one.version === version;
    if (!published) return 'absent';
    using model = await load(ref, { from, identities: [this.#keys.master], unsigned: 'accept' });
    if (same(model.bytes, this.#plain.old)) return 'old';
    if (same(model.bytes, this.#plain.new)) return 'new';
    throw new Error(`${ref} is a mixture`);
  }

  /** Kills a run when that thread makes that call for the nth time, before the call takes effect. */
  async killAt(scenario: Scenario, call: Call, known: readonly Thread[]): Promise<Outcome | 'finished'> {
    const run = await this.#prepare(scenario);
    const when = `after a kill at ${call.text.slice(0, 120)}`;
    expect(
      run.threads.map(({ name }) => name),
      'another run has other threads',
    ).toEqual(known.map(({ name }) => name));
    const tid = run.threads[call.thread]?.tid ?? 0;
    const inject = `inject=${call.syscall}:signal=KILL:when=${call.count}`;
    const tracer = await attach([tid], ['-o', '/dev/null', '-e', `trace=${call.syscall}`, '-e', inject]);
    run.child.say('go');
    const [{ signal, code, stderr }] = await Promise.all([run.child.ended, tracer.ended]);
    if (signal !== 'SIGKILL') expect(code, `the child failed by itself: ${stderr}`).toBe(0);

    this.#expectNoPlaintext(run.store, when);
    const state = await this.outcome(run.store, scenario.ref);
    expect([scenario.before, 'new'], `the store ${when}`).toContain(state);
    if (scenario.ref !== 'net@1') expect(await this.outcome(run.store, 'net@1'), `another model ${when}`).toBe('old');
    await this.#expectRecovery(run.store, scenario, when);
    return signal === 'SIGKILL' ? state : 'finished';
  }

  #expectNoPlaintext(store: string, when: string): void {
    const found: string[] = [];
    for (const name of filesBelow(store)) {
      this.#markers.scan(readFileSync(path.join(store, name)), (what) => found.push(`${what} in ${name}`));
    }
    expect(found, `plaintext on the disk ${when}`).toEqual([]);
  }

  /** The next protect publishes, and what the crash left is gone after it. */
  async #expectRecovery(store: string, scenario: Scenario, when: string): Promise<void> {
    await this.#publish(store, scenario);
    expect(await this.outcome(store, scenario.ref), `protecting again ${when}`).toBe('new');
    const refs = new Set(['net@1', scenario.ref]);
    const expected = [...refs].flatMap((ref) => partsOf(store, ref.replace('@', '/')));
    expect(filesBelow(store), `something astray is left ${when}`).toEqual(expected.sort());
  }
}

function partsOf(store: string, below: string): readonly string[] {
  const small = readFileSync(path.join(store, 'small', below));
  const { facts, length } = parseHeader(small);
  const big = `big/${facts.payloadId}-${small.length - length}`;
  return [big, `${big}.tree`, `small/${below}`];
}

function filesBelow(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(path.join(root, name)).isFile())
    .sort();
}

function firstCpu(): string {
  const allowed = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  if (allowed === undefined) throw new Error('this process may use no CPU');
  return allowed;
}
