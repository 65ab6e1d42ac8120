/** What the server does by itself: forgetting what is over. */
import type { FastifyInstance } from 'fastify';
import type { DeleteResult, Transaction, UpdateResult } from 'kysely';
import { forgetOldAttempts } from './accounts/admission.js';
import { forgetDays } from './audit/subjects.js';
import type { Context, Database } from './context.js';
import type { Schema } from './database/schema.js';
import { type Deleted, noteDeletion, scrub } from './database/scrubbing.js';
import { forgetChallenges } from './devices/challenges.js';
import { forgetCounts } from './http/shared-counts.js';
import { forgetClaims } from './keys/claim.js';
import { forgetLeases, forgetSuperseded, freeEndedSeats } from './leases/leases.js';

const HOUR_MS = 3_600_000;
/** Rows that one transaction forgets: nobody who writes waits until all are gone. */
const PIECE = 5000;

/** Forgets while the server runs, at its start and every hour. */
export function registerUpkeep(app: FastifyInstance, context: Context): void {
  let running: Promise<void> = Promise.resolve();
  const run = (): void => {
    running = running
      .then(() => forget(context))
      .catch((err: unknown) => context.log.error({ err }, 'the hourly upkeep was interrupted'));
  };
  let timer: NodeJS.Timeout | undefined;
  app.addHook('onReady', async () => {
    run();
    timer = setInterval(run, HOUR_MS).unref();
  });
  app.addHook('onClose', async () => {
    clearInterval(timer);
    await running;
    await context.audit.settle();
  });
}

/**
 * Deletes attempts to log in whose time is over, day keys after the retention time, what a killed erasure left, challenges that have
 * ended, and leases long after their end. Several processes at once do no harm.
 */
export async function forget(context: Context): Promise<void> {
  const { audit, db, config, now } = context;
  await audit.settle();
  const deleted = await db.transaction().execute(async (trx): Promise<Deleted | undefined> => {
    await forgetOldAttempts(trx, now());
    const gone = await forgetDays(trx, config.unknownLoginRetentionDays, now());
    return gone.length > 0 ? { note: await noteDeletion(trx, ['subjects']), gone } : undefined;
  });
  if (deleted) await scrub(context, deleted);
  await scrub(context);
  // Last: erasing must not wait for them should they fail.
  await inPieces(db, (trx) => forgetChallenges(trx, now(), PIECE));
  await inPieces(db, (trx) => forgetLeases(trx, now(), PIECE));
  await inPieces(db, (trx) => forgetSuperseded(trx, now(), PIECE));
  await inPieces(db, (trx) => freeEndedSeats(trx, now(), PIECE));
  if (config.databaseUrl !== undefined) {
    await forgetCounts(db);
    await forgetClaims(db, now());
  }
}

async function inPieces(db: Database, forget: (trx: Transaction<Schema>) => Promise<DeleteResult | UpdateResult>): Promise<void> {
  for (let rows = 1n; rows > 0n; ) {
    const done = await db.transaction().execute(forget);
    rows = 'numDeletedRows' in done ? done.numDeletedRows : done.numUpdatedRows;
  }
}
