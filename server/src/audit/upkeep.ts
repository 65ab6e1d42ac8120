/** What the log does by itself: forgetting those who were never known. */
import { forgetFailures } from '../accounts/failures.js';
import type { Context } from '../context.js';
import { type Deleted, noteDeletion, scrub } from '../database/scrubbing.js';
import { forgetCounts } from '../http/shared-counts.js';
import { forgetClaims } from '../keys/claim.js';
import { forgetDays } from './subjects.js';

const HOUR_MS = 3_600_000;

/** Destroys the keys of days whose retention is over, now and every hour. Returns what ends it. */
export function startAudit(context: Context): () => Promise<void> {
  let running: Promise<void> = Promise.resolve();
  const run = (): void => {
    running = running
      .then(() => forget(context))
      .catch((err: unknown) => context.log.error({ err }, 'the hourly upkeep was interrupted'));
  };
  run();
  const timer = setInterval(run, HOUR_MS).unref();
  return async () => {
    clearInterval(timer);
    await running;
  };
}

/**
 * Failures of log-ins of the day before, the keys of days that are over for longer than the retention time; and what an erasure left
 * that was killed before its end. Several processes at once do no harm.
 */
export async function forget(context: Context): Promise<void> {
  const { db, config, now } = context;
  const deleted = await db.transaction().execute(async (trx): Promise<Deleted | undefined> => {
    await forgetFailures(trx, now());
    const gone = await forgetDays(trx, config.unknownLoginRetentionDays, now());
    return gone.length > 0 ? { note: await noteDeletion(trx, ['subjects']), gone } : undefined;
  });
  if (deleted) await scrub(context, deleted);
  await scrub(context);
  // Last: erasing must not wait for them should they fail.
  if (config.databaseUrl !== undefined) {
    await forgetCounts(db);
    await forgetClaims(db, now());
  }
}
