/** Positions of the log that the server signs. Clients keep them: what was signed cannot be changed unnoticed any more. */
import { type Checkpoint, hex, signCheckpoint, unhex } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Connection, Context, Database } from '../context.js';
import type { Schema } from '../database/schema.js';
import { lastEvent } from './log.js';

/** One that is that fresh, or that few events behind, is good enough for a lease: not every lease signs and writes one. */
const FRESH_SECONDS = 5;
const FEW_EVENTS = 64;

/** Looked for now. */
const looking = new WeakMap<Database, Promise<Checkpoint | undefined>>();

/**
 * The newest one; a new one where enough has happened since. Undefined while nothing has happened at all. Those that ask at once share
 * the answer.
 */
export function latestCheckpoint(context: Context): Promise<Checkpoint | undefined> {
  const { db } = context;
  const latest = looking.get(db) ?? findLatest(context).finally(() => looking.delete(db));
  looking.set(db, latest);
  return latest;
}

async function findLatest(context: Context): Promise<Checkpoint | undefined> {
  const [kept, { seq }] = await Promise.all([keptCheckpoint(context, context.db), lastEvent(context.db)]);
  if (seq === 0) return undefined;
  const fresh = kept && context.now() - kept.time < FRESH_SECONDS && seq - kept.seq < FEW_EVENTS;
  return kept && (fresh || kept.seq === seq) ? kept : await checkpointNow(context);
}

/** Signs what the log is now. */
export const checkpointNow = (context: Context): Promise<Checkpoint> =>
  context.db.transaction().execute(async (trx) => {
    const { seq, head } = await lastEvent(trx);
    const checkpoint = signCheckpoint(context.keys.audit, { logId: context.logId, seq, head: hex(head), time: context.now() });
    await keep(trx, checkpoint);
    return checkpoint;
  });

async function keptCheckpoint({ logId }: Context, connection: Connection): Promise<Checkpoint | undefined> {
  const row = await connection.selectFrom('checkpoints').selectAll().orderBy('seq', 'desc').limit(1).executeTakeFirst();
  return row && { logId, seq: row.seq, head: hex(row.head), time: row.time, signature: row.signature };
}

/** The newest alone is kept: older ones can be checked, but not needed. */
async function keep(trx: Transaction<Schema>, { seq, head, time, signature }: Checkpoint): Promise<void> {
  const row = { seq, head: Buffer.from(unhex(head)), time, signature };
  await trx.deleteFrom('checkpoints').where('seq', '<=', seq).execute();
  await trx.insertInto('checkpoints').values(row).execute();
}
