/** Deletes the keys of unknown callers after the retention time. */
import type { Context } from '../context.js';
import { type Deleted, noteDeletion, scrub } from '../database/scrub.js';
import { forgetDays } from './subject-keys.js';

/** Deletes the day keys whose time is over, and removes the bytes of deletions that a killed process has left. */
export async function deleteExpiredKeys(context: Context): Promise<void> {
  const { db, config, now } = context;
  const deleted = await db.transaction().execute(async (trx): Promise<Deleted | undefined> => {
    const gone = await forgetDays(trx, config.unknownLoginRetentionDays, now());
    return gone.length > 0 ? { note: await noteDeletion(trx, ['subjects']), gone } : undefined;
  });
  if (deleted) await scrub(context, deleted);
  await scrub(context);
}
