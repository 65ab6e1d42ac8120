/** Lists leases and ends them. */
import { ModelGuardError, type RouteAnswer, type RouteInput } from '@org/model-guard/server-kit';
import { type DeleteResult, sql, type UpdateResult } from 'kysely';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import { datedCursor, datedPage, type Page, pageOf } from '../database/pages.js';
import type { LeaseTable } from '../database/schema.js';
import { revokeSeat } from '../devices/revocation.js';
import { subjectOf } from '../entitlements/entitlements.js';

/** Seconds that an ended lease is kept for looking back. */
const KEPT_SECONDS = 90 * 86_400;

/** Seconds that a superseded lease is kept: a device may request any number of leases. The audit log holds all. */
const KEPT_SUPERSEDED_SECONDS = 86_400;

/** Deletes at most `limit` leases that ended long ago. */
export function forgetLeases(connection: Connection, now: number, limit: number): Promise<DeleteResult> {
  const before = now - KEPT_SECONDS;
  const leases = connection.selectFrom('leases').select('id').limit(limit);
  const over = leases.where('not_after', '<', before).where('seat_until', '<', before);
  return connection.deleteFrom('leases').where('id', 'in', over).executeTakeFirstOrThrow();
}

/** Deletes at most `limit` leases that were superseded. */
export function forgetSuperseded(connection: Connection, now: number, limit: number): Promise<DeleteResult> {
  const over = connection
    .selectFrom('leases')
    .select('id')
    .where('superseded', '<', now - KEPT_SUPERSEDED_SECONDS)
    .limit(limit);
  return connection.deleteFrom('leases').where('id', 'in', over).executeTakeFirstOrThrow();
}

/** Seconds after the end, so that a clock that is a few days ahead frees no seat that is still held. */
const ENDED_SECONDS = 7 * 86_400;
/** As the index of active leases writes it: a parameter would not match. */
const hasSeat = sql<boolean>`seat_until > 0`;

/** Frees at most `limit` seats of leases that have ended, so that the list of active leases does not read these. */
export function freeEndedSeats(connection: Connection, now: number, limit: number): Promise<UpdateResult> {
  const ended = connection
    .selectFrom('leases')
    .select('id')
    .where('superseded', 'is', null)
    .where(hasSeat)
    .where('seat_until', '<', now - ENDED_SECONDS)
    .limit(limit);
  return connection.updateTable('leases').set({ seat_until: 0 }).where('id', 'in', ended).executeTakeFirstOrThrow();
}

type Lease = RouteAnswer<'listLeases'>['items'][number];

/** The lease as the contract shows it. */
export const leaseOf = (row: LeaseTable): Lease => ({
  id: row.id,
  name: row.name,
  version: row.version,
  device: row.device,
  account: row.account,
  notBefore: row.not_before,
  notAfter: row.not_after,
  offlineUntil: row.offline_until,
  ...(row.superseded === null && row.seat_until > row.not_after && { seatUntil: row.seat_until }),
  revoked: row.revoked !== 0 || row.superseded !== null,
  created: row.created,
});

export async function listLeases(
  context: Context,
  member: Member,
  { cursor, limit, device, name, active }: RouteInput<'listLeases'>['query'],
): Promise<Page<Lease>> {
  const now = context.now();
  let query = datedPage(context.db.selectFrom('leases').selectAll(), 'leases', { cursor, limit });
  if (device !== undefined) query = query.where('device', '=', device);
  if (name !== undefined) query = query.where('name', '=', name);
  // A lease is active while it holds a seat. The index of active leases contains the literal 0.
  if (active === 'true') query = query.where('superseded', 'is', null).where(hasSeat).where('seat_until', '>', now);
  if (active === 'false') query = query.where((eb) => eb.or([eb('superseded', 'is not', null), eb('seat_until', '<=', now)]));
  const rows = await query.execute();
  await context.audit.record({ action: 'leases.list', outcome: 'success', caller: member });
  return pageOf(rows, limit, datedCursor, leaseOf);
}

/**
 * Ends a lease and frees its seat. The device may take the next one: to prevent that, revoke the device or the version, or delete
 * the entitlement.
 * @throws NOT_FOUND
 */
export async function revokeLease(context: Context, member: Member, id: string): Promise<void> {
  const entry = { action: 'leases.revoke', resource: `lease:${id}`, caller: member } as const;
  await recordRefusals(context, entry, () =>
    context.db.transaction().execute(async (trx) => {
      const row = await revokeSeat(trx, id);
      if (!row)
        throw new ModelGuardError('NOT_FOUND', 'There is no such lease', {
          advice: 'Look at the list (`model-guard leases list`).',
        });
      const detail = `model ${row.name}@${row.version}, device ${row.device}`;
      await context.audit.append(trx, { ...entry, outcome: 'success', subject: await subjectOf(trx, row.account), detail });
    }),
  );
}
