/** Completes rotations in the background and over restarts, and removes old keys at their end. */
import { MAX_ACCEPT_SECONDS } from '@org/model-guard/server-kit';
import type { Caller } from '../base/caller.js';
import type { Context } from '../context.js';
import { noteDeletion, scrub } from '../database/scrub.js';
import { rewrapAll } from './rewrap.js';
import { countWrapped, type RotationRow, runningRotation } from './rotation.js';
import { TaskLease } from './task-lease.js';

/** Passes over the tables: each finds rows that were written during the one before. */
const PASSES = 3;
/** Seconds between the end of acceptance and removal: requests that began with the old key end in this time. */
const GRACE_SECONDS = 60;
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

  /** Continues the work of an earlier process, and checks for expired keys from now on. */
  start(): void {
    this.#timer = setInterval(() => this.wake(), TICK_MS).unref();
    this.wake();
  }

  /** Starts a pass at once. */
  wake(): void {
    if (this.#stopped) return;
    this.#again = true;
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined;
      // Woken between the last look and this moment.
      if (this.#again) this.wake();
    });
  }

  /** Resolves when the work has stopped, before the next row. A batch that was not stored is wrapped again by the next process. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#working;
  }

  /** Resolves when no work is left now. */
  async idle(): Promise<void> {
    while (this.#working) await this.#working;
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
        this.#context.log.error({ err: error }, 'the work on keys failed');
      }
    }
  }

  async #rotate(): Promise<void> {
    const rotation = await runningRotation(this.#context.db);
    if (!rotation) return;
    const lease = new TaskLease(this.#context, `rotation:${rotation.id}`);
    try {
      // Another process may be working. If it is killed, a later tick continues.
      if (await lease.hold()) await this.#finish(rotation, async () => this.#stopped || !(await lease.hold()));
    } finally {
      await lease.release();
    }
  }

  async #finish(rotation: RotationRow, givenUp: () => Promise<boolean>): Promise<void> {
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
        .set({ finished: now(), remaining: left })
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
    // Bytes that were wrapped to the old key must not stay where rows were overwritten.
    await scrub(this.#context, { note, gone: [] });
    log.info({ rotation: rotation.id, left }, 'a rotation is done');
  }

  /** Removes retiring keys after their date if no row is wrapped to them. */
  async #dropKeys(): Promise<void> {
    const { db, keys, audit, now } = this.#context;
    const before = now() - GRACE_SECONDS;
    // A clock that was ahead wrote a later date. Cut it to the longest time from now.
    const until = now() + MAX_ACCEPT_SECONDS;
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
      // The row first: the next start deletes a leftover file, but a missing file would prevent that start.
      if (removed) await keys.discard(key);
    }
  }
}
