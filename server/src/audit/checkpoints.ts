/** Positions of the log that the server signs. Clients keep them: what was signed cannot be changed unnoticed any more. */
import { type Checkpoint, hex, signCheckpoint, unhex } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Connection, Context, Database } from '../context.js';
import type { Schema } from '../database/schema.js';
import { lastEvent } from './log.js';

/** One that is that fresh, or that few events behind, is good enough for a lease: not every lease signs and writes one. */
const FRESH_SECONDS = 5;
const FEW_EVENTS = 64;

/** Being made. */
const making = new WeakMap<Database, Promise<Checkpoint>>();

/**
 * The newest one; a new one where enough has happened since, which all that find so at once share. Undefined while nothing has happened
 * at all.
 */
export async function latestCheckpoint(context: Context): Promise<Checkpoint | undefined> {
  const { db, now } = context;
  const kept = await keptCheckpoint(context, db);
  const { seq } = await lastEvent(db);
  if (seq === 0) return undefined;
  const fresh = kept && Math.abs(now() - kept.time) < FRESH_SECONDS && seq - kept.seq < FEW_EVENTS;
  if (kept && (fresh || kept.seq === seq)) return kept;
  const shared = making.get(db) ?? checkpointNow(context).finally(() => making.delete(db));
  making.set(db, shared);
  const made = await shared;
  // Another process may have made a newer one meanwhile, and this client have seen it: never an older one after that.
  return kept && made.seq < kept.seq ? await checkpointNow(context) : made;
}

/** Signs what the log is now. */
export const checkpointNow = (context: Context): Promise<Checkpoint> =>
  context.db.transaction().execute((trx) => signPosition(context, trx));

/** The same in a transaction that has written its events. */
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

/** The newest alone is kept: older ones can be checked, but not needed. */
async function keep(trx: Transaction<Schema>, { seq, head, time, signature }: Checkpoint): Promise<void> {
  const row = { seq, head: Buffer.from(unhex(head)), time, signature };
  await trx.deleteFrom('checkpoints').where('seq', '<=', seq).execute();
  await trx.insertInto('checkpoints').values(row).execute();
}
