/** What becomes of a rotation: its work goes on in the background and over restarts, and the old key goes when its time is over. */
import type { Caller, Context } from '../context.js';
import { noteDeletion, scrub } from '../database/scrubbing.js';
import { Claim } from './claim.js';
import { rewrapAll } from './rewrapping.js';
import { countWrapped, type Row, runningRotation } from './rotation.js';

/** Rows that were written while a pass went by them are found by the next one. */
const PASSES = 3;
/** After the stated date and the last re-wrapping: requests that have begun with the old key end meanwhile. */
const GRACE_SECONDS = 60;
/** No rotation accepts the key before it for longer (`acceptSeconds` of the contract). */
const LONGEST_ACCEPT_SECONDS = 2_678_400;
const TICK_MS = 60_000;
/** The server itself. */
const SERVER: Caller = { address: '', request: '' };

/** Works on the rotations of one server. */
export class RotationWorker {
  readonly #context: Context;
  #working: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Takes up what an earlier process left, and looks for keys whose time is over from now on. */
  start(): void {
    this.#timer = setInterval(() => this.wake(), TICK_MS).unref();
    this.wake();
  }

  /** Something may be there to do. */
  wake(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
    });
  }

  /** Resolves when nothing is being done: between two batches. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#working;
  }

  /** Resolves when nothing is left to do now. */
  async idle(): Promise<void> {
    await this.#working;
  }

  async #work(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      try {
        // Another process on this database may have replaced keys.
        await this.#context.keys.reload(this.#context.db);
        await this.#rotate();
        if (!this.#stopped) await this.#dropKeys();
      } catch (error) {
        // The next tick tries again.
        this.#context.log.error({ err: error }, 'a rotation was interrupted');
      }
    }
  }

  async #rotate(): Promise<void> {
    const rotation = await runningRotation(this.#context.db);
    if (!rotation) return;
    const claim = new Claim(this.#context, `rotation:${rotation.id}`);
    try {
      // Another process may be at it. Should that be killed, a later tick finds out.
      if (await claim.hold()) await this.#finish(rotation, async () => this.#stopped || !(await claim.hold()));
    } finally {
      await claim.release();
    }
  }

  async #finish(rotation: Row, givenUp: () => Promise<boolean>): Promise<void> {
    const { db, audit, log, now } = this.#context;
    let left = await countWrapped(db, '!=', rotation.to_key);
    for (let pass = 0; pass < PASSES && left > 0; pass++) {
      await rewrapAll(this.#context, rotation.to_key, givenUp);
      if (await givenUp()) return;
      left = await countWrapped(db, '!=', rotation.to_key);
    }
    const note = await db.transaction().execute(async (trx) => {
      const open = trx
        .updateTable('rotations')
        .set({ finished: now() })
        .where('id', '=', rotation.id)
        .where('finished', 'is', null);
      if ((await open.returning('id').execute()).length === 0) return undefined;
      await audit.append(trx, {
        action: 'keys.rotated',
        outcome: left === 0 ? 'success' : 'failure',
        resource: `rotation:${rotation.id}`,
        caller: SERVER,
        detail: `${rotation.total - left} of ${rotation.total}`,
      });
      return await noteDeletion(trx, ['versions', 'archives']);
    });
    if (note === undefined) return;
    // What was wrapped to the old key is not left where rows were overwritten either.
    await scrub(this.#context, { note, gone: [] });
    log.info({ rotation: rotation.id, left }, 'a rotation is done');
  }

  /** Keys to which nothing is wrapped any more and nothing more may be published. */
  async #dropKeys(): Promise<void> {
    const { db, keys, audit, now } = this.#context;
    const before = now() - GRACE_SECONDS;
    // A date beyond that was written by a clock that was ahead. The longest time begins now.
    const until = now() + LONGEST_ACCEPT_SECONDS;
    await db.updateTable('encryption_keys').set({ until }).where('state', '=', 'retiring').where('until', '>', until).execute();
    const over = await db
      .selectFrom('encryption_keys')
      .select('key')
      .where('state', '=', 'retiring')
      .where('until', '<=', before)
      .where(({ exists, not, or, selectFrom }) =>
        not(
          exists(
            selectFrom('rotations')
              .select('id')
              .where(({ and, eb }) =>
                or([eb('finished', 'is', null), and([eb('finished', '>', before), eb('finished', '<=', now())])]),
              ),
          ),
        ),
      )
      .execute();
    for (const { key } of over) {
      const removed = await db.transaction().execute(async (trx) => {
        if ((await countWrapped(trx, '=', key)) > 0 || !(await keys.remove(trx, key))) return false;
        await audit.append(trx, { action: 'keys.remove', outcome: 'success', resource: `key:${key}`, caller: SERVER });
        return true;
      });
      // The row first: a file that a crash leaves is deleted at the next start, a missing one would prevent that start.
      if (removed) await keys.discard(key);
    }
  }
}
