/** Keeps the changes that the server has acknowledged, as its clients record them. */
import { createHash } from 'node:crypto';
import { isModelGuardError, type ModelGuardErrorCode } from '../../../../src/errors.js';
import type { Gate } from './gate.js';

export const KINDS = [
  'publish',
  'release',
  'revoke',
  'lease',
  'load',
  'end lease',
  'rotate',
  'enrol',
  'approve',
  'entitle',
  'archive',
  'checkpoint',
] as const;
export type Kind = (typeof KINDS)[number];
export type Outcome<T> = { readonly done: T } | { readonly refused: ModelGuardErrorCode } | { readonly unknown: true };

const ORDER = ['absent', 'pending', 'released', 'revoked'] as const;
export type Progress = (typeof ORDER)[number];
export const later = (one: Progress, other: Progress): boolean => ORDER.indexOf(one) > ORDER.indexOf(other);

export const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A version, as far as its clients can know. */
export interface VersionRecord {
  readonly name: string;
  readonly version: string;
  /** Its possible digests: one, unless an answer was lost. */
  contents: readonly string[];
  /** At least so far: acknowledged. */
  least: Progress;
  /** At most so far: asked for. */
  most: Progress;
}

/** A lease that was acknowledged. */
export interface LeaseRecord {
  readonly id: string;
  readonly name: string;
  readonly version: string;
  readonly device: string;
  /** `ending`: something was asked that ends it. */
  state: 'active' | 'ending' | 'ended';
}

/** The codes that a client gets when the server is killed. */
const INTERRUPTED: ReadonlySet<string> = new Set(['SERVER_UNREACHABLE', 'TIMED_OUT']);

export class Journal {
  readonly versions = new Map<string, VersionRecord>();
  readonly leases = new Map<string, LeaseRecord>();
  readonly devices = new Map<string, 'pending' | 'approved'>();
  readonly entitlements = new Set<string>();
  readonly archives = new Set<string>();
  readonly rotations = new Set<string>();
  /** Acknowledged, by `action resource` as the audit log tells it. */
  readonly events = new Map<string, number>();
  readonly acknowledged = new Map<Kind, number>();
  readonly refusals = new Map<string, number>();
  /** Actions whose answer was lost, and their result. */
  readonly lost = { all: 0, done: 0, undone: 0 };
  /** Leases that whole loads were given, whose ids no client saw. */
  leasesToldByLoads = 0;
  readonly faults: string[] = [];
  /** Changed since the last check. */
  readonly touched = new Set<string>();
  readonly #gate: Gate;
  readonly #begun = new Map<Kind, () => void>();
  readonly #acted: (() => void)[] = [];
  #over = false;
  readonly #durations = new Map<Kind, number>();

  /** @param lenient Answers may be lost or late at any time: of several servers one is always coming or going. */
  constructor(
    gate: Gate,
    readonly lenient = false,
  ) {
    this.#gate = gate;
  }

  /** Resolves when the next action of that kind begins. */
  next(kind: Kind): Promise<void> {
    return new Promise((resolve) => this.#begun.set(kind, resolve));
  }
  /** Resolves after so many acknowledgements, or when nothing more is wanted. */
  async after(count: number): Promise<void> {
    for (let left = count; left > 0 && !this.#over; left--) await new Promise<void>((resolve) => this.#acted.push(resolve));
  }
  finish(): void {
    this.#over = true;
    for (const resolve of this.#acted.splice(0)) resolve();
  }
  /** Recent durations of such an action, in milliseconds. */
  usual(kind: Kind): number {
    return this.#durations.get(kind) ?? 100;
  }

  /** Runs a request. A result that is neither success, nor an expected refusal, nor cut off by a kill, is a fault. */
  async attempt<T>(kind: Kind, task: () => Promise<T>, expected: readonly ModelGuardErrorCode[] = []): Promise<Outcome<T>> {
    this.#begun.get(kind)?.();
    this.#begun.delete(kind);
    // A request that begins while the gate is shut may still reach the server that is being killed.
    const closings = this.#gate.isShut ? -1 : this.#gate.closings;
    const start = performance.now();
    try {
      const done = await task();
      this.acknowledged.set(kind, (this.acknowledged.get(kind) ?? 0) + 1);
      if (closings === this.#gate.closings) this.#durations.set(kind, 0.8 * this.usual(kind) + 0.2 * (performance.now() - start));
      for (const resolve of this.#acted.splice(0)) resolve();
      return { done };
    } catch (error) {
      if (isModelGuardError(error) && expected.includes(error.code)) {
        const what = `${kind}: ${error.code}`;
        this.refusals.set(what, (this.refusals.get(what) ?? 0) + 1);
        return { refused: error.code };
      }
      const cutOff =
        isModelGuardError(error) && INTERRUPTED.has(error.code) && (this.lenient || closings !== this.#gate.closings);
      if (!cutOff) this.faults.push(`${kind}: ${describe(error)}`);
      this.lost.all++;
      return { unknown: true };
    }
  }

  event(action: string, resource: string): void {
    const key = `${action} ${resource}`;
    this.events.set(key, (this.events.get(key) ?? 0) + 1);
  }

  /** Devices that hold a lease of a model, by the answers that they got. */
  holders(name: string): number {
    const active = [...this.leases.values()].filter((lease) => lease.name === name && lease.state === 'active');
    return new Set(active.map(({ device }) => device)).size;
  }
  /** Something is asked that may end these leases. */
  ending(which: (lease: LeaseRecord) => boolean): void {
    for (const lease of this.leases.values()) if (lease.state === 'active' && which(lease)) lease.state = 'ending';
  }
}

export const describe = (error: unknown): string =>
  isModelGuardError(error) ? `${error.code} ${error.message} (${String(error.cause)})` : String((error as Error).stack ?? error);
