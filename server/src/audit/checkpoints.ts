/** Signs positions of the log. Clients keep them, so that a change of events before a position is noticed. */
import { type Checkpoint, hex, signCheckpoint, unhex } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Context } from '../context.js';
import type { Connection, Database } from '../database/connection.js';
import type { Schema } from '../database/schema.js';
import { lastEvent } from './log.js';

/**
 * A checkpoint that is this fresh, or this few events behind, is good enough for a lease, so that not every lease signs and
 * writes one.
 */
const FRESH_SECONDS = 5;
const FEW_EVENTS = 64;

/** Checkpoints that are being made. */
const making = new WeakMap<Database, Promise<Checkpoint>>();

/**
 * The newest checkpoint. Makes a new one where enough has happened since; calls at the same time share it. Undefined for an empty
 * log.
 */
export async function latestCheckpoint(context: Context): Promise<Checkpoint | undefined> {
  const { db, now } = context;
  const { seq } = await lastEvent(db);
  // Read second: a checkpoint that another call has made meanwhile counts.
  const kept = await keptCheckpoint(context, db);
  if (seq === 0) return undefined;
  const fresh = kept && Math.abs(now() - kept.time) < FRESH_SECONDS && seq - kept.seq < FEW_EVENTS;
  if (kept && (fresh || kept.seq >= seq)) return kept;
  const shared = making.get(db) ?? checkpointNow(context).finally(() => making.delete(db));
  making.set(db, shared);
  const made = await shared;
  // Another process may have made a newer checkpoint, which this client may have seen. Never answer an older one after that.
  return kept && made.seq < kept.seq ? await checkpointNow(context) : made;
}

/** Signs the current position of the log. */
export const checkpointNow = (context: Context): Promise<Checkpoint> =>
  context.db.transaction().execute((trx) => signPosition(context, trx));

/** Signs the position after the events of this transaction. */
export async function signPosition(context: Context, trx: Transaction<Schema>): Promise<Checkpoint> {
  const { seq, head } = await lastEvent(trx);
  const { audit } = await context.keys.newest(trx);
  const checkpoint = signCheckpoint(audit, { logId: context.logId, seq, head: hex(head), time: context.now() });
  await keep(trx, checkpoint);
  return checkpoint;
}

async function keptCheckpoint({ logId }: Context, connection: Connection): Promise<Checkpoint | undefined> {
  const row = await connection.selectFrom('checkpoints').selectAll().orderBy('seq', 'desc').limit(1).executeTakeFirst();
  return row && { logId, seq: row.seq, head: hex(row.head), time: row.time, signature: row.signature };
}

/** Stores the newest checkpoint alone: older ones can be verified, but are not needed. */
async function keep(trx: Transaction<Schema>, { seq, head, time, signature }: Checkpoint): Promise<void> {
  const row = { seq, head: Buffer.from(unhex(head)), time, signature };
  await trx.deleteFrom('checkpoints').where('seq', '<=', seq).execute();
  await trx.insertInto('checkpoints').values(row).execute();
}
