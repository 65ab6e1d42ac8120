/** Seats: devices that hold a lease under an entitlement at the same time. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { EntitlementTable, LeaseTable, Schema } from '../database/schema.js';

/** Leases under an entitlement that hold now. */
const active = (trx: Transaction<Schema>, entitlement: string, now: number) =>
  trx.selectFrom('leases').where('entitlement', '=', entitlement).where('revoked', '=', 0).where('not_after', '>', now);

async function hasSeat(
  trx: Transaction<Schema>,
  { id, seats }: EntitlementTable,
  device: string,
  now: number,
): Promise<'held' | 'free' | 'none'> {
  const held = await active(trx, id, now).select('id').where('device', '=', device).limit(1).executeTakeFirst();
  if (held) return 'held';
  const { taken } = await active(trx, id, now)
    .select((eb) => eb.fn.count<number>('device').distinct().as('taken'))
    .executeTakeFirstOrThrow();
  return taken < seats ? 'free' : 'none';
}

/**
 * The entitlement whose seat the device takes: one under which it sits already, else the first with a free seat.
 * @throws SEATS_TAKEN
 */
export async function chooseSeat(
  trx: Transaction<Schema>,
  entitlements: readonly EntitlementTable[],
  device: string,
  now: number,
): Promise<EntitlementTable> {
  let free: EntitlementTable | undefined;
  for (const entitlement of entitlements) {
    const seat = await hasSeat(trx, entitlement, device, now);
    if (seat === 'held') return entitlement;
    if (seat === 'free') free ??= entitlement;
  }
  if (free) return free;
  throw new ModelGuardError('SEATS_TAKEN', 'As many devices as the entitlement allows hold a lease now');
}

/**
 * Writes a lease down in place of the device's earlier ones of the same model under the entitlement; returns their ids. One that lasts
 * longer than the new one stays, and its seat with it: the device may have kept it, and nobody can take it back from there.
 */
export async function takeSeat(trx: Transaction<Schema>, lease: LeaseTable): Promise<readonly string[]> {
  const superseded = await trx
    .updateTable('leases')
    .set({ revoked: 1 })
    .where('entitlement', '=', lease.entitlement)
    .where('device', '=', lease.device)
    .where('name', '=', lease.name)
    .where('revoked', '=', 0)
    .where('not_after', '>', lease.created)
    .where('not_after', '<=', lease.not_after)
    .where('offline_until', '<=', lease.offline_until)
    .returning('id')
    .execute();
  await trx.insertInto('leases').values(lease).execute();
  return superseded.map(({ id }) => id);
}

/**
 * Undoes {@link takeSeat}, unless the lease was revoked meanwhile: then those before it were too. One of an earlier version, or of a
 * device or an entitlement that is gone, may have been revoked by itself.
 */
export async function giveSeatBack(trx: Transaction<Schema>, lease: string, superseded: readonly string[]): Promise<void> {
  const removed = await trx.deleteFrom('leases').where('id', '=', lease).returning('revoked').executeTakeFirst();
  if (removed?.revoked === 0 && superseded.length > 0)
    await trx
      .updateTable('leases')
      .set({ revoked: 0 })
      .where('id', 'in', superseded)
      .where(({ and, exists, not, selectFrom }) =>
        and([
          not(
            exists(
              selectFrom('versions')
                .select('versions.name')
                .whereRef('versions.name', '=', 'leases.name')
                .whereRef('versions.version', '=', 'leases.version')
                .where('versions.state', '=', 'revoked'),
            ),
          ),
          exists(
            selectFrom('devices')
              .select('devices.id')
              .whereRef('devices.id', '=', 'leases.device')
              .where('devices.state', '!=', 'revoked'),
          ),
          exists(selectFrom('entitlements').select('entitlements.id').whereRef('entitlements.id', '=', 'leases.entitlement')),
        ]),
      )
      .execute();
}
