/**
 * The table `disk_parts`: parts that an account has uploaded to this server's disk, or is uploading. It serves the quota, and
 * records which parts were checked.
 */
import type { Context } from '../context.js';
import { refuseBeyondQuota } from './quota.js';

const DAY = 86_400;
/** Rows that one statement reads. */
const BATCH = 500;

export class DiskRows {
  readonly #context: Pick<Context, 'config' | 'db' | 'now'>;

  constructor(context: Pick<Context, 'config' | 'db' | 'now'>) {
    this.#context = context;
  }

  /**
   * Counts a part for the account before its first byte is written; a part that is counted already stays as it is.
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

  /** Removes the row of a part that does not exist. */
  async release(part: string): Promise<void> {
    await this.#context.db.deleteFrom('disk_parts').where('part', '=', part).execute();
  }

  /** Records that the same bytes have another mark now. */
  async moveMark(part: string, before: string, after: string): Promise<void> {
    await this.#context.db
      .updateTable('disk_parts')
      .set({ checked_mark: after })
      .where('part', '=', part)
      .where('checked_mark', '=', before)
      .execute();
  }

  /** Releases, a day later, parts whose upload ended with the process. */
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
