/** Whether the database takes writes: one that is full, read-only or locked from outside still answers reads. */
import type { Context } from '../context.js';
import { inTime, NotInTime } from '../in-time.js';

/** A success counts this long: balancers ask often, and each try is a commit on the disk. */
const EVERY_MS = 5000;
/** A try that takes longer, while one has succeeded lately, is no failure: writers wait for their turn under load. */
const PATIENCE_MS = 1000;
const LATELY_MS = 30_000;
const ROW = 'write_probe';

/**
 * Tries a write, at most one at a time and none within five seconds of one that succeeded. The function that it returns throws what the
 * newest try threw.
 * @param clock milliseconds, of any beginning
 */
export function makeWriteProbe({ db, now }: Pick<Context, 'db' | 'now'>, clock = () => performance.now()): () => Promise<void> {
  let succeeded = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | undefined;

  const probe = async (): Promise<void> => {
    // In a transaction, as all that matters is written: it waits for the lock of writers.
    await db.transaction().execute(async (trx) => {
      const value = String(now());
      const row = { key: ROW, value };
      await trx
        .insertInto('meta')
        .values(row)
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
        .execute();
    });
    succeeded = clock();
  };

  return async () => {
    if (clock() - succeeded < EVERY_MS) return;
    running ??= probe().finally(() => {
      running = undefined;
    });
    if (clock() - succeeded >= LATELY_MS) return await running;
    await inTime(running, PATIENCE_MS).catch((error: unknown) => {
      if (!(error instanceof NotInTime)) throw error;
    });
  };
}
