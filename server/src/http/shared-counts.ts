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
/** Of one statement, which has room for so many parameters alone. */
const MOST_KEYS = 5000;
/** Of the database: the clocks of the processes may differ. */
const NOW = sql<number>`extract(epoch from statement_timestamp())::bigint`;

export interface Counted {
  readonly count: number;
  /** Until the window ends. */
  readonly seconds: number;
}

/** Requests by key, and what all of them were counted to. */
interface Batch {
  readonly added: Map<string, number>;
  readonly counted: Promise<ReadonlyMap<string, Counted>>;
}

/**
 * Counts in windows that begin with the first request. Undefined, and a warning in the log, while the database does not count: what each
 * process counts by itself holds then, so that what gets through stays bounded, and a slow database does not take the server down.
 */
export class SharedCounts {
  readonly #context: Pick<Context, 'db' | 'keys' | 'log'>;
  readonly #window: number;
  #pausedUntil = 0;
  /** Once in a window each process forgets those that are over: many addresses do not fill the table until the hourly upkeep. */
  #forgetAt: number;
  #gathering: Batch | undefined;
  /** Ends when the statement before has. */
  #before: Promise<void> = Promise.resolve();

  /** @param window seconds */
  constructor(context: Pick<Context, 'db' | 'keys' | 'log'>, window: number) {
    this.#context = context;
    this.#window = window;
    this.#forgetAt = performance.now() + window * 1000;
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

  async #add(what: string, who: string): Promise<Counted> {
    // An address is personal. No e-mail address holds a space.
    const key = Buffer.from(this.#context.keys.fields.emailIndex(`${what} ${who}`)).toString('base64url');
    if (!this.#gathering || this.#gathering.added.size >= MOST_KEYS) this.#gathering = this.#gather();
    const { added, counted } = this.#gathering;
    const place = (added.get(key) ?? 0) + 1;
    added.set(key, place);
    const all = (await counted).get(key);
    if (!all) throw new TypeError('nothing was counted');
    return { ...all, count: all.count - (added.get(key) ?? 0) + place };
  }

  /** Requests that come while others are being counted are counted together afterwards: a busy address is one row. */
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

  /** One statement, outside of any transaction: it does not wait for those who write. In order, so that no two wait for each other. */
  async #count(added: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, Counted>> {
    const rows = [...added].sort(([a], [b]) => (a < b ? -1 : 1));
    const values = rows.map(([key, count]) => sql`(${key}, ${NOW} + ${this.#window}::bigint, ${count}::bigint)`);
    const result = await sql<Counted & { key: string }>`
      insert into rate_counts as known (key, window_end, count) values ${sql.join(values)}
      on conflict (key) do update set
        count = case when ${over(this.#window)} then excluded.count else known.count + excluded.count end,
        window_end = case when ${over(this.#window)} then excluded.window_end else known.window_end end
      returning key, count, window_end - ${NOW} as seconds`.execute(this.#context.db);
    return new Map(result.rows.map(({ key, count, seconds }) => [key, { count, seconds }]));
  }
}

/** A window that ends later than one that begins now was written by a clock that was ahead: it is over, too. */
const over = (window: number) => sql`(known.window_end <= ${NOW} or known.window_end > ${NOW} + ${window}::bigint)`;

const ignore = (): void => undefined;

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
