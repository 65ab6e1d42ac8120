/** Appends events, each in the transaction of the change that it records (docs/server-protocol.md, section 6). */
import { chainHead, EMPTY_HEAD } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Caller } from '../base/caller.js';
import type { AuditEntry, AuditLog, Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import type { Schema } from '../database/schema.js';
import { RepeatedRefusals } from './repeated-refusals.js';
import { sealEvent } from './sealed-events.js';
import { daySubject, findSubject } from './subject-keys.js';

/** The position of a log without events. */
export const EMPTY_POSITION = { seq: 0, head: EMPTY_HEAD } as const;

/** The last event, and the chain's head after it. */
export async function lastEvent(connection: Connection): Promise<{ readonly seq: number; readonly head: Uint8Array }> {
  const row = await connection.selectFrom('audit').select(['seq', 'head']).orderBy('seq', 'desc').limit(1).executeTakeFirst();
  return row ?? EMPTY_POSITION;
}

/** The parts of a server that its log is made of. */
export interface AuditLogParts extends Pick<Context, 'db' | 'keys' | 'logId' | 'now'> {
  /** Reads the rights of a caller again, in the transaction of a change. @throws NOT_AUTHENTICATED, NOT_AUTHORISED */
  readonly confirmRights: (transaction: Transaction<Schema>, caller: Caller) => Promise<unknown>;
}

/** The log of a server. Transactions are written one after the other, so that every event follows the one before it. */
export function createAuditLog({ db, keys, logId, now, confirmRights }: AuditLogParts): AuditLog {
  const refusals = new RepeatedRefusals();
  const isNoted = (entry: AuditEntry): boolean => entry.outcome === 'success' || refusals.isNoted(entry, now());

  const refuse = async (trx: Transaction<Schema>, entry: AuditEntry): Promise<void> => {
    if (isNoted(entry)) await append(trx, entry);
  };

  async function append(trx: Transaction<Schema>, entry: AuditEntry): Promise<void> {
    // A refusal is recorded even where the caller's rights have ended.
    if (entry.outcome === 'success') await confirmRights(trx, entry.caller);
    const last = await lastEvent(trx);
    const seq = last.seq + 1;
    const time = now();
    const { caller, action, outcome, resource } = entry;
    const callers = caller.account && (await findSubject(trx, caller.account.subject));
    const about = entry.subject === undefined ? undefined : await findSubject(trx, entry.subject);
    const subject = about ?? callers ?? (await daySubject(trx, keys.fields, time));
    const actor = callers && callers.id !== subject.id ? callers : undefined;
    // The protocol fixes the order of the members; absent ones are left out.
    const line = JSON.stringify({
      seq,
      time: new Date(time * 1000).toISOString(),
      action,
      outcome,
      resource,
      request: caller.request === '' ? undefined : caller.request,
      subject: subject.id,
      box: sealEvent(keys.fields, seq, entry, subject, actor),
    });
    const bytes = Buffer.from(line);
    await trx
      .insertInto('audit')
      .values({
        seq,
        bytes,
        head: chainHead(logId, seq, last.head, bytes),
        time,
        action,
        outcome,
        resource: resource ?? null,
        subject: subject.id,
        actor: actor?.id ?? null,
      })
      .execute();
  }

  /** Writes `entries`, and before them the counts of refusals that were not written one by one. */
  async function record(entries: readonly AuditEntry[], all = false): Promise<void> {
    const counts = refusals.drain(now(), all);
    const written = [...counts, ...entries];
    if (written.length === 0) return;
    try {
      await db.transaction().execute(async (trx) => {
        for (const entry of written) await append(trx, entry);
      });
    } catch (error) {
      refusals.putBack(counts);
      throw error;
    }
  }

  return { append, refuse, record: (entry) => record(isNoted(entry) ? [entry] : []), settle: (final) => record([], final) };
}
