/** Looking at leases, and ending them. */
import { ModelGuardError, type RouteAnswer, type RouteInput } from '@org/model-guard/server-kit';
import { type DeleteResult, sql, type UpdateResult } from 'kysely';
import { recordingRefusals } from '../audit/refused.js';
import type { Connection, Context, Member } from '../context.js';
import { datedCursor, datedPage, type Page, pageOf } from '../database/paging.js';
import type { LeaseTable } from '../database/schema.js';
import { subjectOf } from './entitlements.js';
import { revokeSeat } from './revocation.js';

/** For looking back, long after they ended. */
const KEPT_SECONDS = 90 * 86_400;

/** Of leases that a later one superseded: a device may ask for any number of them. The audit log holds all. */
const KEPT_SUPERSEDED_SECONDS = 86_400;

/** So many of those that ended long ago. */
export function forgetLeases(connection: Connection, now: number, limit: number): Promise<DeleteResult> {
  const before = now - KEPT_SECONDS;
  const leases = connection.selectFrom('leases').select('id').limit(limit);
  const over = leases.where('not_after', '<', before).where('seat_until', '<', before);
  return connection.deleteFrom('leases').where('id', 'in', over).executeTakeFirstOrThrow();
}

/** So many of those that were superseded. */
export function forgetSuperseded(connection: Connection, now: number, limit: number): Promise<DeleteResult> {
  const over = connection
    .selectFrom('leases')
    .select('id')
    .where('superseded', '<', now - KEPT_SUPERSEDED_SECONDS)
    .limit(limit);
  return connection.deleteFrom('leases').where('id', 'in', over).executeTakeFirstOrThrow();
}

/** Beyond their end, so that a clock that is a few days ahead frees no seat that is still held. */
const ENDED_SECONDS = 7 * 86_400;
/** As the index of active leases says it: a parameter would not match. */
const hasSeat = sql<boolean>`seat_until > 0`;

/** Frees so many seats of leases that have ended: the list of active ones does not read those. */
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

/** As the contract shows it. */
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
  // Active is what holds a seat. The index of those names the 0.
  if (active === 'true') query = query.where('superseded', 'is', null).where(hasSeat).where('seat_until', '>', now);
  if (active === 'false') query = query.where((eb) => eb.or([eb('superseded', 'is not', null), eb('seat_until', '<=', now)]));
  const rows = await query.execute();
  await context.audit.record({ action: 'leases.list', outcome: 'success', caller: member });
  return pageOf(rows, limit, datedCursor, leaseOf);
}

/**
 * Ends a lease and frees its seat. It does not keep the device from taking the next one: for that, revoke the device or the version,
 * or delete the entitlement.
 * @throws NOT_FOUND
 */
export async function revokeLease(context: Context, member: Member, id: string): Promise<void> {
  const entry = { action: 'leases.revoke', resource: `lease:${id}`, caller: member } as const;
  await recordingRefusals(context, entry, () =>
    context.db.transaction().execute(async (trx) => {
      const row = await revokeSeat(trx, id);
      if (!row) throw new ModelGuardError('NOT_FOUND', 'There is no such lease');
      const detail = `model ${row.name}@${row.version}, device ${row.device}`;
      await context.audit.append(trx, { ...entry, outcome: 'success', subject: await subjectOf(trx, row.account), detail });
    }),
  );
}
