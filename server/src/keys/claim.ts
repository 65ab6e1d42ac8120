/** Work on a shared database that one process does for all. Only the effort is at stake: what is done twice is done once. */
import { randomBytes } from 'node:crypto';
import type { Connection, Context } from '../context.js';

/** Others take the work up so long after its process was killed, at their next tick. */
const HELD_SECONDS = 30;
const RENEWED_SECONDS = 5;
/** A claim that would last for longer was made by a clock that was ahead: it does not count. */
const LONGEST_SECONDS = HELD_SECONDS + 120;

/** A process's claim to a task. */
export class Claim {
  readonly #context: Context;
  readonly #task: string;
  readonly #holder = randomBytes(16).toString('hex');
  #renewed = Number.NEGATIVE_INFINITY;

  constructor(context: Context, task: string) {
    this.#context = context;
    this.#task = task;
  }

  /** Whether the task is this process's to do now; asked again and again while it is being done. */
  async hold(): Promise<boolean> {
    const { db, config, now } = this.#context;
    // A file has one process: what another one held was killed.
    if (config.databaseUrl === undefined) return true;
    const at = now();
    if (at < this.#renewed + RENEWED_SECONDS) return true;
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

  /** Whoever goes on with it need not wait. */
  async release(): Promise<void> {
    if (this.#renewed === Number.NEGATIVE_INFINITY) return;
    this.#renewed = Number.NEGATIVE_INFINITY;
    await this.#context.db.deleteFrom('claims').where('task', '=', this.#task).where('holder', '=', this.#holder).execute();
  }
}

/** Of processes that were killed. */
export const forgetClaims = (connection: Connection, now: number) =>
  connection.deleteFrom('claims').where('until', '<=', now).execute();
