/** How often somebody asked, over all processes of a server: counted in their database. */
import { sql } from 'kysely';
import type { Connection, Context } from '../context.js';
import { inTime } from '../in-time.js';

/** A count that takes longer is done without: who asks a slow server need not wait for that too. */
const LATE_MS = 3000;
/** Counts that one statement forgets. */
const BATCH = 5000;
/** So long it is not tried again. */
const PAUSE_MS = 5000;
/** Of the database: the clocks of the processes may differ. */
const NOW = sql<number>`extract(epoch from statement_timestamp())::bigint`;

export interface Counted {
  readonly count: number;
  /** Until the window ends. */
  readonly seconds: number;
}

/**
 * Counts in windows that begin with the first request. Undefined, and a warning in the log, while the database does not count: what each
 * process counts by itself holds then, so that what gets through stays bounded, and a slow database does not take the server down.
 */
export class SharedCounts {
  readonly #context: Pick<Context, 'db' | 'keys' | 'log'>;
  readonly #window: number;
  #pausedUntil = 0;

  /** @param window seconds */
  constructor(context: Pick<Context, 'db' | 'keys' | 'log'>, window: number) {
    this.#context = context;
    this.#window = window;
  }

  async add(what: string, who: string): Promise<Counted | undefined> {
    if (performance.now() < this.#pausedUntil) return undefined;
    try {
      return await inTime(this.#add(what, who), LATE_MS);
    } catch (err) {
      // Those that were waiting together are one warning.
      if (performance.now() >= this.#pausedUntil)
        this.#context.log.warn({ err }, 'the database does not count requests: each process limits the rate by itself');
      this.#pausedUntil = performance.now() + PAUSE_MS;
      return undefined;
    }
  }

  /** One statement, outside of any transaction: it does not wait for those who write. */
  async #add(what: string, who: string): Promise<Counted> {
    const { db, keys } = this.#context;
    // An address is personal. No e-mail address holds a space.
    const key = Buffer.from(keys.fields.emailIndex(`${what} ${who}`)).toString('base64url');
    const { rows } = await sql<Counted>`
      insert into rate_counts as known (key, window_end, count) values (${key}, ${NOW} + ${this.#window}::bigint, 1)
      on conflict (key) do update set
        count = case when known.window_end <= ${NOW} then 1 else known.count + 1 end,
        window_end = case when known.window_end <= ${NOW} then excluded.window_end else known.window_end end
      returning count, window_end - ${NOW} as seconds`.execute(db);
    const [counted] = rows;
    if (!counted) throw new TypeError('nothing was counted');
    return counted;
  }
}

/** Of windows that are over. Several processes at once leave each other's rows alone. */
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
