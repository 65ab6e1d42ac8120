/** Seats: devices that hold a lease under an entitlement at the same time. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { EntitlementTable, LeaseTable, Schema } from '../database/schema.js';
import { entitling } from './entitlements.js';

/** An entitlement, how many devices sit on its seats, and whether this one does. */
interface Row extends EntitlementTable {
  readonly taken: number;
  readonly held: number;
}

/** The rows of a model's entitlements, in one query. */
export function seatsFor(
  trx: Transaction<Schema>,
  asked: { readonly name: string; readonly account: string; readonly device: string; readonly now: number },
): Promise<Row[]> {
  return entitling(trx, { kind: 'model', ...asked })
    .select(({ selectFrom }) => {
      const sitting = selectFrom('leases')
        .whereRef('leases.entitlement', '=', 'entitlements.id')
        .where('leases.revoked', '=', 0)
        .where('leases.not_after', '>', asked.now)
        // A lease that begins later was made by a clock that was ahead: devices refused it.
        .where('leases.not_before', '<=', asked.now);
      return [
        sitting
          .select(({ fn }) => fn.count<number>('leases.device').distinct().as('count'))
          .$asScalar()
          .$notNull()
          .as('taken'),
        sitting
          .where('leases.device', '=', asked.device)
          .select(({ fn }) => fn.countAll<number>().as('count'))
          .$asScalar()
          .$notNull()
          .as('held'),
      ];
    })
    .execute();
}

/**
 * The entitlement whose seat the device takes: one under which it sits already, else the first with a free seat.
 * @throws SEATS_TAKEN
 */
export function chooseSeat(entitlements: readonly Row[]): EntitlementTable {
  const chosen = entitlements.find(({ held }) => held > 0) ?? entitlements.find(({ taken, seats }) => taken < seats);
  if (chosen) return chosen;
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
