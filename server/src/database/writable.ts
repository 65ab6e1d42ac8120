/** Tests whether the database takes writes: a full, read-only or locked database still answers reads. */

import { TimeoutError, withTimeout } from '../base/timeout.js';
import type { Database } from './connection.js';

/** A success counts this long: balancers ask often, and each try is a commit on the disk. */
const EVERY_MS = 5000;
/** A try may take longer than this without being a failure, while another one has succeeded lately: writers queue under load. */
const PATIENCE_MS = 1000;
const LATELY_MS = 30_000;
const ROW = 'write_probe';

/**
 * Tries a write, at most one at a time, and none within five seconds of a success. The returned function throws the error of the
 * newest try.
 * @param clock milliseconds from any start
 */
export function makeWriteProbe(
  { db, now }: { readonly db: Database; readonly now: () => number },
  clock = () => performance.now(),
): () => Promise<void> {
  let succeeded = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | undefined;

  const probe = async (): Promise<void> => {
    // In a transaction, like all other writes, so that it waits for the writers' lock.
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
    await withTimeout(running, PATIENCE_MS).catch((error: unknown) => {
      if (!(error instanceof TimeoutError)) throw error;
    });
  };
}
