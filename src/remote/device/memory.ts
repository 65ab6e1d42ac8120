/** The device's memory of its server, and the checks that follow from it. */
import { checkProgress, lostPosition } from '../../audit/progress.js';
import { type AbortSignalLike, throwIfAborted } from '../../base/abort.js';
import type { Checkpoint, Statement, StatementBody } from '../../contract/index.js';
import { hasCode, ModelGuardError } from '../../errors.js';
import { clockSetBack, isSetBack, type Moment, type Seen, seenAfter } from '../clock.js';
import type { Connection } from '../connection.js';
import { isAnswer } from '../http/failures.js';
import { type Grant, NOTHING, type State } from './state.js';
import type { StateFolder } from './state-folder.js';
import { shortly } from './unavailable.js';

interface MemoryOptions {
  readonly folder: StateFolder;
  readonly connection: Connection;
  readonly pinned: string;
  readonly rollback: 'accept' | 'refuse';
}

/** The audit log as an answer shows it. */
interface ShownLog {
  readonly checkpoint?: Checkpoint | undefined;
  /** Of kind `history`, about the position that the request named. */
  readonly history?: Statement | undefined;
}

/** Members of a request that name what is kept of the audit log. */
interface SeenLog {
  readonly checkpoint?: { readonly seq: number; readonly head: string };
}

/**
 * Has `ask` name what is kept of the audit log, so that the server states whether its log still holds it. The error of a refusal names
 * the kept position, for the server's administrator. AUDIT_LOG_ROLLED_BACK
 */
export async function namingLog<T>({ state: { checkpoint: kept } }: Before, ask: (seen: SeenLog) => Promise<T>): Promise<T> {
  try {
    return await ask(kept ? { checkpoint: { seq: kept.seq, head: kept.head } } : {});
  } catch (error) {
    if (!kept || !hasCode(error, 'AUDIT_LOG_ROLLED_BACK') || !isAnswer(error)) throw error;
    throw lostPosition(kept, 'The server says that its audit log does not hold what this device has seen.', error);
  }
}

/** The state and the time before a request. */
export interface Before {
  readonly state: State;
  readonly moment: Moment;
}

export class Memory {
  readonly #options: MemoryOptions;

  constructor(options: MemoryOptions) {
    this.#options = options;
  }

  /** Asks the server for the time where the clock was ahead once. CLOCK_SET_BACK, INTEGRITY_FAILED */
  async before(signal: AbortSignalLike | undefined): Promise<Before> {
    const { folder, connection, pinned } = this.#options;
    const { trust, clock } = connection;
    if (trust.server === undefined) {
      const found = await folder.find(pinned);
      if (found) trust.recall(found.server, from(pinned, found.state.keys));
    }
    const { server } = trust;
    const state = server === undefined ? NOTHING : await folder.read(server);
    // Successors of another key than the one that is pinned now are not to be trusted any more.
    if (server !== undefined && state.keys.includes(pinned)) trust.recall(server, from(pinned, state.keys));
    const moment = await clock();
    if (server === undefined || !state.clock || !isSetBack(state.clock, moment)) return { state, moment };
    return await this.#corrected(server, state.clock, signal);
  }

  /**
   * The time seen gives way to the server's signed time, where the clock agrees with that. A replayed statement shows nothing: the server
   * signs a nonce of this moment. An answer that was held back shows nothing either: what passed since the question is added.
   */
  async #corrected(server: string, seen: Seen, signal: AbortSignalLike | undefined): Promise<Before> {
    const { folder, connection } = this.#options;
    const { trust, clock } = connection;
    const asked = await clock();
    let time: number;
    try {
      time = await shortly(connection, signal, (limited) => trust.prove({ signal: limited }));
    } catch (error) {
      throwIfAborted(signal);
      throw clockSetBack(seen, asked, error);
    }
    const moment = await clock();
    const right = { ...asked, time };
    if (isSetBack(right, moment)) throw clockSetBack(right, moment, undefined);
    // Another process may have corrected it meanwhile, and seen more since.
    const state = await folder.update(server, (now) => ({
      ...now,
      clock: seenAfter(isSetBack(now.clock, moment) ? right : now.clock, moment, time),
    }));
    return { state, moment };
  }

  /**
   * Remembers what the server just said. AUDIT_LOG_ROLLED_BACK, ROLLBACK_REFUSED: compared with what was known when it was asked,
   * since answers to several processes may overtake each other. Returns the latest time seen, seconds since 1970.
   */
  async learn(before: Before, said: StatementBody<'lease'>, grant: Grant, shown: ShownLog): Promise<number> {
    const { folder, connection } = this.#options;
    const { trust, clock } = connection;
    const { checkpoint } = shown;
    // First: a server that was put back shows an older version too, and that is not what is wrong with it.
    await this.#checkLog(before, shown);
    this.refuseOlder(before.state, said);
    const moment = await clock();
    const updated = await folder.update(said.server, (now) => {
      // A rollback that was allowed counts for this call alone: the highest ordinal stays.
      const highest = Math.max(said.ordinal, now.ordinals.get(said.name) ?? 0);
      return {
        keys: trust.trusted,
        ordinals: new Map(now.ordinals).set(said.name, highest),
        // Set anew, so that it stands last.
        leases: new Map([...now.leases].filter(([name]) => name !== said.name)).set(said.name, grant),
        checkpoint: newer(now.checkpoint, checkpoint),
        clock: seenAfter(now.clock, moment, said.time),
      };
    });
    return timeOf(updated);
  }

  /** A checkpoint that came without a lease. AUDIT_LOG_ROLLED_BACK */
  async learnCheckpoint(before: Before, server: string, shown: ShownLog): Promise<void> {
    const { checkpoint } = shown;
    await this.#checkLog(before, shown);
    if (!checkpoint) return;
    const { folder, connection } = this.#options;
    const { trust } = connection;
    await folder.update(server, (now) => ({
      ...now,
      keys: trust.trusted,
      checkpoint: newer(now.checkpoint, checkpoint),
    }));
  }

  /** The server's log was restored: what was kept of the lost one gives way. AUDIT_LOG_ROLLED_BACK */
  async acceptRestored({ server, time, logId, lost, checkpoint }: StatementBody<'restored'>): Promise<void> {
    const { folder } = this.#options;
    await folder.update(server, (now) => {
      const { checkpoint: kept } = now;
      if (kept && !givesWay(kept, { time, logId, lost }))
        throw lostPosition(kept, 'The statement does not cover what this device has seen of the audit log.');
      return { ...now, checkpoint };
    });
  }

  /** A server that has shown its log once goes on doing so, and signs that the log still holds what was seen. */
  async #checkLog({ state, moment }: Before, { checkpoint, history }: ShownLog): Promise<void> {
    const { checkpoint: kept } = state;
    if (!kept) return;
    if (!checkpoint) throw lostPosition(kept, 'The server shows no checkpoint of its audit log any more.');
    checkProgress(kept, checkpoint);
    if (!history) throw lostPosition(kept, 'The server does not state that its audit log still holds what this device has seen.');
    const said = await this.#options.connection.trust.read('history', history, moment);
    if (said.logId !== kept.logId || said.seq !== kept.seq || said.head !== kept.head)
      throw lostPosition(kept, 'The server makes a statement about another position of its audit log.');
  }

  /** The lowest ordinal that a lease of `name` may have; undefined: any. The server is asked for no older one, so that it ends no lease. */
  oldest(state: State, name: string): number | undefined {
    return this.#options.rollback === 'accept' ? undefined : state.ordinals.get(name);
  }

  /** ROLLBACK_REFUSED; `cause`: why the server gives no newer one. */
  refuseOlder(
    state: State,
    { name, version, ordinal }: { readonly name: string; readonly version: string; readonly ordinal: number },
    cause?: ModelGuardError,
  ): void {
    if (ordinal < (this.oldest(state, name) ?? 0))
      throw new ModelGuardError('ROLLBACK_REFUSED', `${name}@${version} is older than a version that this device has had`, {
        ...(cause && { cause }),
      });
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

/** Kept of this log, before the statement was made, and not newer than what it gives up. */
const givesWay = (kept: Checkpoint, { time, logId, lost }: Pick<StatementBody<'restored'>, 'time' | 'logId' | 'lost'>): boolean =>
  kept.logId === logId && kept.time <= time && kept.seq <= lost.seq && (kept.seq < lost.seq || kept.head === lost.head);

/** AUDIT_LOG_ROLLED_BACK where two processes that asked at the same time were shown two histories. */
function newer(one: Checkpoint | undefined, other: Checkpoint | undefined): Checkpoint | undefined {
  if (!one || !other) return one ?? other;
  if (one.seq === other.seq) checkProgress(one, other);
  return other.seq > one.seq ? other : one;
}
