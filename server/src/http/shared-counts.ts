/** Counts requests over all processes of a server, in their database. */
import { sql } from 'kysely';
import { withTimeout } from '../base/timeout.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';

/** Milliseconds. A count that takes longer is skipped, so that a slow database does not slow requests further. */
const LATE_MS = 3000;
/** Rows that one statement deletes. */
const BATCH = 5000;
/** Pause after a failure. */
const PAUSE_MS = 5000;
/** Keys of one statement, which has only so many parameters. */
const MOST_KEYS = 5000;
/** The time of the database: the clocks of the processes may differ. */
const NOW = sql<number>`extract(epoch from statement_timestamp())::bigint`;

export interface WindowCount {
  readonly count: number;
  /** Until the window ends. */
  readonly seconds: number;
}

/** The requests to be counted by key, and the totals after counting. */
interface Batch {
  readonly added: Map<string, number>;
  readonly counted: Promise<ReadonlyMap<string, WindowCount>>;
}

/**
 * Counts in windows that begin with the first request. Undefined, with a warning in the log, while the database does not count:
 * then each process limits the rate by its own counts, and a slow database does not stop the server.
 */
export class SharedCounts {
  readonly #context: Pick<Context, 'db' | 'keys' | 'log'>;
  readonly #window: number;
  #pausedUntil = 0;
  /** Each process deletes expired windows once in a window, so that many addresses do not fill the table between two cleanups. */
  #forgetAt: number;
  #gathering: Batch | undefined;
  /** Ends when the previous statement has. */
  #before: Promise<void> = Promise.resolve();

  /** @param window seconds */
  constructor(context: Pick<Context, 'db' | 'keys' | 'log'>, window: number) {
    this.#context = context;
    this.#window = window;
    this.#forgetAt = performance.now() + window * 1000;
  }

  async add(what: string, who: string): Promise<WindowCount | undefined> {
    if (performance.now() < this.#pausedUntil) return undefined;
    try {
      return await withTimeout(this.#add(what, who), LATE_MS);
    } catch (err) {
      // Requests that failed together are one warning.
      if (performance.now() >= this.#pausedUntil)
        this.#context.log.warn({ err }, 'the database does not count requests: each process limits the rate by itself');
      this.#pausedUntil = performance.now() + PAUSE_MS;
      return undefined;
    }
  }

  async #add(what: string, who: string): Promise<WindowCount> {
    // An address is personal, so it is stored as an HMAC. The text holds a space, which no e-mail address does.
    const key = Buffer.from(this.#context.keys.fields.emailIndex(`${what} ${who}`)).toString('base64url');
    if (!this.#gathering || this.#gathering.added.size >= MOST_KEYS) this.#gathering = this.#gather();
    const { added, counted } = this.#gathering;
    const place = (added.get(key) ?? 0) + 1;
    added.set(key, place);
    const all = (await counted).get(key);
    if (!all) throw new TypeError('nothing was counted');
    return { ...all, count: all.count - (added.get(key) ?? 0) + place };
  }

  /** Requests that arrive during a statement are counted together by the next one, so that a busy address is one row. */
  #gather(): Batch {
    const added = new Map<string, number>();
    const counted = this.#before.then(() => {
      if (this.#gathering?.added === added) this.#gathering = undefined;
      return this.#count(added);
    });
    this.#before = counted.then(() => this.#forget()).catch(ignore);
    return { added, counted };
  }

  async #forget(): Promise<void> {
    if (performance.now() < this.#forgetAt) return;
    this.#forgetAt = performance.now() + this.#window * 1000;
    await forgetCounts(this.#context.db);
  }

  /**
   * One statement outside of transactions, so that it does not wait for writers. Keys are sorted, so that no two statements
   * deadlock.
   */
  async #count(added: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, WindowCount>> {
    const rows = [...added].sort(([a], [b]) => (a < b ? -1 : 1));
    const values = rows.map(([key, count]) => sql`(${key}, ${NOW} + ${this.#window}::bigint, ${count}::bigint)`);
    const result = await sql<WindowCount & { key: string }>`
      insert into rate_counts as known (key, window_end, count) values ${sql.join(values)}
      on conflict (key) do update set
        count = case when ${over(this.#window)} then excluded.count else known.count + excluded.count end,
        window_end = case when ${over(this.#window)} then excluded.window_end else known.window_end end
      returning key, count, window_end - ${NOW} as seconds`.execute(this.#context.db);
    return new Map(result.rows.map(({ key, count, seconds }) => [key, { count, seconds }]));
  }
}

/** Whether the window is over, or would end later than one that begins now: a clock that was ahead wrote it. */
const over = (window: number) => sql`(known.window_end <= ${NOW} or known.window_end > ${NOW} + ${window}::bigint)`;

const ignore = (): void => undefined;

/** Deletes windows that are over. Several processes at once skip each other's rows. */
export async function forgetCounts(connection: Connection): Promise<void> {
  for (let more = true; more; ) {
    const over = connection.selectFrom('rate_counts').select('key').where('window_end', '<=', NOW).limit(BATCH);
    const { numDeletedRows } = await connection
      .deleteFrom('rate_counts')
      .where('key', 'in', over.forUpdate().skipLocked())
      .executeTakeFirstOrThrow();
    more = numDeletedRows > 0n;
  }
}
