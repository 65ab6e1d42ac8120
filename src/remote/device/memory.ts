/** What this device remembers of its server, and what that forbids. */
import { checkProgress } from '../../audit/progress.js';
import type { Checkpoint, Said } from '../../contract/index.js';
import { ModelGuardError } from '../../errors.js';
import { type Clock, type Moment, refuseSetBack, seenAfter } from '../clock.js';
import type { Trust } from '../trust.js';
import { type Grant, NOTHING, type State } from './state.js';
import type { StateFolder } from './state-folder.js';

interface MemoryOptions {
  readonly folder: StateFolder;
  readonly trust: Trust;
  readonly pinned: string;
  readonly clock: Clock;
  readonly rollback: 'accept' | 'refuse';
}

/** What was known, and what time it was, when something was asked. */
export interface Before {
  readonly state: State;
  readonly moment: Moment;
}

export class Memory {
  readonly #options: MemoryOptions;

  constructor(options: MemoryOptions) {
    this.#options = options;
  }

  /** CLOCK_SET_BACK, INTEGRITY_FAILED */
  async before(): Promise<Before> {
    const { folder, trust, pinned, clock } = this.#options;
    if (trust.server === undefined) {
      const found = await folder.find(pinned);
      if (found) trust.recall(found.server, from(pinned, found.state.keys));
    }
    const state = trust.server === undefined ? NOTHING : await folder.read(trust.server);
    // Successors of another key than the one that is pinned now are not to be trusted any more.
    if (trust.server !== undefined && state.keys.includes(pinned)) trust.recall(trust.server, from(pinned, state.keys));
    const moment = await clock();
    refuseSetBack(state.clock, moment);
    return { state, moment };
  }

  /**
   * Remembers what the server just said. AUDIT_LOG_ROLLED_BACK, ROLLBACK_REFUSED: compared with what was known when it was asked,
   * since answers to several processes may overtake each other. Returns the latest time seen, seconds since 1970.
   */
  async learn({ state }: Before, said: Said<'lease'>, grant: Grant, shown: Checkpoint | undefined): Promise<number> {
    const { folder, trust, clock, rollback } = this.#options;
    const accept = rollback === 'accept';
    // First: a server that was put back shows an older version too, and that is not what is wrong with it.
    checkLog(state.checkpoint, shown);
    this.refuseOlder(state, said);
    const moment = await clock();
    const updated = await folder.update(said.server, (now) => {
      const highest = accept ? said.ordinal : Math.max(said.ordinal, now.ordinals.get(said.name) ?? 0);
      return {
        keys: trust.trusted,
        ordinals: new Map(now.ordinals).set(said.name, highest),
        // Set anew, so that it stands last.
        leases: new Map([...now.leases].filter(([name]) => name !== said.name)).set(said.name, grant),
        checkpoint: newer(now.checkpoint, shown),
        clock: seenAfter(now.clock, moment, said.time),
      };
    });
    return timeOf(updated);
  }

  /** A checkpoint that came without a lease. AUDIT_LOG_ROLLED_BACK */
  async learnCheckpoint({ state }: Before, server: string, shown: Checkpoint | undefined): Promise<void> {
    checkLog(state.checkpoint, shown);
    if (!shown) return;
    const { folder, trust } = this.#options;
    await folder.update(server, (now) => ({
      ...now,
      keys: trust.trusted,
      checkpoint: newer(now.checkpoint, shown),
    }));
  }

  /** ROLLBACK_REFUSED */
  refuseOlder(
    state: State,
    { name, version, ordinal }: { readonly name: string; readonly version: string; readonly ordinal: number },
  ): void {
    const highest = state.ordinals.get(name) ?? 0;
    if (ordinal < highest && this.#options.rollback !== 'accept')
      throw new ModelGuardError('ROLLBACK_REFUSED', `${name}@${version} is older than a version that this device has had`);
  }

  /** A kept lease was used at `moment`. Returns the latest time seen, seconds since 1970. */
  async used(server: string, moment: Moment): Promise<number> {
    return timeOf(await this.#options.folder.update(server, (now) => ({ ...now, clock: seenAfter(now.clock, moment) })));
  }

  /** The server ended leases: of one version, or all of them. */
  async forget(server: string, ends: (name: string, grant: Grant) => boolean): Promise<void> {
    const { folder } = this.#options;
    if (![...(await folder.read(server)).leases].some(([name, grant]) => ends(name, grant))) return;
    await folder.update(server, (now) => ({
      ...now,
      leases: new Map([...now.leases].filter(([name, grant]) => !ends(name, grant))),
    }));
  }
}

const timeOf = ({ clock }: State): number => clock?.time ?? 0;

/** The pinned key and its successors; not those from before it, which may be why it was pinned. */
const from = (pinned: string, keys: readonly string[]): readonly string[] => keys.slice(keys.indexOf(pinned));

/** A server that has shown its log once goes on doing so. */
function checkLog(kept: Checkpoint | undefined, shown: Checkpoint | undefined): void {
  if (shown) checkProgress(kept, shown);
  else if (kept)
    throw new ModelGuardError(
      'AUDIT_LOG_ROLLED_BACK',
      `The server shows no checkpoint; it had ${kept.seq} events in its audit log`,
    );
}

/** AUDIT_LOG_ROLLED_BACK where two processes that asked at the same time were shown two histories. */
function newer(one: Checkpoint | undefined, other: Checkpoint | undefined): Checkpoint | undefined {
  if (!one || !other) return one ?? other;
  if (one.seq === other.seq) checkProgress(one, other);
  return other.seq > one.seq ? other : one;
}
