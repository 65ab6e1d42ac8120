/** Looking at leases, and ending them. */
import { ModelGuardError, type RouteAnswer, type RouteInput } from '@org/model-guard/server-kit';
import type { DeleteResult } from 'kysely';
import { recordingRefusals } from '../audit/refused.js';
import type { Connection, Context, Member } from '../context.js';
import { datedCursor, datedStart, type Page, pageOf } from '../database/paging.js';
import type { LeaseTable } from '../database/schema.js';
import { subjectOf } from './entitlements.js';

/** For looking back, long after they ended. */
const KEPT_SECONDS = 90 * 86_400;

/** So many of those that ended long ago. */
export function forgetLeases(connection: Connection, now: number, limit: number): Promise<DeleteResult> {
  const over = connection
    .selectFrom('leases')
    .select('id')
    .where('not_after', '<', now - KEPT_SECONDS)
    .limit(limit);
  return connection.deleteFrom('leases').where('id', 'in', over).executeTakeFirstOrThrow();
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
  revoked: row.revoked !== 0,
  created: row.created,
});

export async function listLeases(
  context: Context,
  member: Member,
  { cursor, limit, device, name, active }: RouteInput<'listLeases'>['query'],
): Promise<Page<Lease>> {
  const start = datedStart(cursor);
  const now = context.now();
  let query = context.db
    .selectFrom('leases')
    .selectAll()
    .where(({ eb, refTuple, tuple }) => eb(refTuple('created', 'id'), '>', tuple(start.created, start.id)))
    .orderBy('created')
    .orderBy('id')
    .limit(limit + 1);
  if (device !== undefined) query = query.where('device', '=', device);
  if (name !== undefined) query = query.where('name', '=', name);
  if (active === 'true') query = query.where('revoked', '=', 0).where('not_after', '>', now);
  if (active === 'false') query = query.where((eb) => eb.or([eb('revoked', '!=', 0), eb('not_after', '<=', now)]));
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
  const entry = { action: 'leases.revoke', resource: `lease:${id}`, caller: member };
  await recordingRefusals(context, entry, () =>
    context.db.transaction().execute(async (trx) => {
      const row = await trx.updateTable('leases').set({ revoked: 1 }).where('id', '=', id).returningAll().executeTakeFirst();
      if (!row) throw new ModelGuardError('NOT_FOUND', 'There is no such lease');
      const detail = `model ${row.name}@${row.version}, device ${row.device}`;
      await context.audit.append(trx, { ...entry, outcome: 'success', subject: await subjectOf(trx, row.account), detail });
    }),
  );
}
