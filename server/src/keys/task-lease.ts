/** Lets one process at a time do a task on a shared database. A task that two processes do is wasted work, not an error. */
import { randomBytes } from 'node:crypto';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';

/** Seconds after which another process takes over from one that was killed. */
const HELD_SECONDS = 30;
/** Seconds between two renewals. */
const RENEW_SECONDS = 5;
/** Seconds. A lease that would last longer was made by a clock that was ahead, and does not count. */
const LONGEST_SECONDS = HELD_SECONDS + 120;

/** The lease of a task for a process. */
export class TaskLease {
  readonly #context: Context;
  readonly #task: string;
  readonly #holder = randomBytes(16).toString('hex');
  #renewed = Number.NEGATIVE_INFINITY;

  constructor(context: Context, task: string) {
    this.#context = context;
    this.#task = task;
  }

  /** Whether this process holds the task now; called repeatedly while the task runs. */
  async hold(): Promise<boolean> {
    const { db, config, now } = this.#context;
    // A SQLite database has one process: no lease is needed.
    if (config.databaseUrl === undefined) return true;
    const at = now();
    if (at < this.#renewed + RENEW_SECONDS) return true;
    const row = { task: this.#task, holder: this.#holder, until: at + HELD_SECONDS };
    const held = await db
      .insertInto('claims')
      .values(row)
      .onConflict((conflict) =>
        conflict
          .column('task')
          .doUpdateSet(row)
          .where(({ eb, or }) =>
            or([
              eb('claims.holder', '=', this.#holder),
              eb('claims.until', '<=', at),
              eb('claims.until', '>', at + LONGEST_SECONDS),
            ]),
          ),
      )
      .returning('holder')
      .execute();
    this.#renewed = held.length > 0 ? at : Number.NEGATIVE_INFINITY;
    return held.length > 0;
  }

  /** Gives the lease back, so that another process need not wait for its end. */
  async release(): Promise<void> {
    if (this.#renewed === Number.NEGATIVE_INFINITY) return;
    this.#renewed = Number.NEGATIVE_INFINITY;
    await this.#context.db.deleteFrom('claims').where('task', '=', this.#task).where('holder', '=', this.#holder).execute();
  }
}

/** Deletes expired leases. */
export const deleteExpiredTaskLeases = (connection: Connection, now: number) =>
  connection.deleteFrom('claims').where('until', '<=', now).execute();
