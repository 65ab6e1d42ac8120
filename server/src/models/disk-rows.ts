/** The table `disk_parts`: which account has uploaded which part to this server's disk, or is doing so. It is for the quota, and remembers which parts were checked. */
import type { Context } from '../context.js';
import { refuseBeyondQuota } from './quota.js';

const DAY = 86_400;
/** Rows that one statement looks at. */
const BATCH = 500;

export class DiskRows {
  readonly #context: Pick<Context, 'config' | 'db' | 'now'>;

  constructor(context: Pick<Context, 'config' | 'db' | 'now'>) {
    this.#context = context;
  }

  /**
   * Counts a part for the account before its first byte is written; one that is counted already stays as it is.
   * @throws LIMIT_EXCEEDED
   */
  async claim(account: string, part: string, size: number): Promise<void> {
    const { config, db, now } = this.#context;
    await db.transaction().execute(async (trx) => {
      const known = await trx.selectFrom('disk_parts').select('part').where('part', '=', part).executeTakeFirst();
      if (known) return;
      await refuseBeyondQuota(trx, config, account, size);
      await trx.insertInto('disk_parts').values({ part, account, size, created: now() }).execute();
    });
  }

  /** Of a part that is not there after all, or not any more. */
  async release(part: string): Promise<void> {
    await this.#context.db.deleteFrom('disk_parts').where('part', '=', part).execute();
  }

  /** The same bytes have another mark now. */
  async moveMark(part: string, before: string, after: string): Promise<void> {
    await this.#context.db
      .updateTable('disk_parts')
      .set({ checked_mark: after })
      .where('part', '=', part)
      .where('checked_mark', '=', before)
      .execute();
  }

  /** Releases, a day later, parts whose upload was cut off by the end of the process. */
  async releaseAbsent(isThere: (part: string) => Promise<boolean>): Promise<void> {
    const { db, now } = this.#context;
    for (let after = ''; ; ) {
      const rows = await db
        .selectFrom('disk_parts')
        .select('part')
        .where('created', '<', now() - DAY)
        .where('part', '>', after)
        .orderBy('part')
        .limit(BATCH)
        .execute();
      for (const { part } of rows) if (!(await isThere(part))) await this.release(part);
      const last = rows.at(-1);
      if (!last) return;
      after = last.part;
    }
  }
}
