/** Seats: devices that hold a lease under an entitlement at the same time. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { EntitlementTable, LeaseTable, Schema } from '../database/schema.js';
import { currentEntitlements } from '../entitlements/entitlements.js';

/** An entitlement, the number of devices on its seats, and whether this device is one of them. */
interface Row extends EntitlementTable {
  readonly taken: number;
  readonly held: number;
}

/** The rows of a model's entitlements, in one query. */
export function seatsFor(
  trx: Transaction<Schema>,
  asked: { readonly name: string; readonly account: string; readonly device: string; readonly now: number },
): Promise<Row[]> {
  return currentEntitlements(trx, { kind: 'model', ...asked })
    .select(({ selectFrom }) => {
      const sitting = selectFrom('leases')
        .whereRef('leases.entitlement', '=', 'entitlements.id')
        .where('leases.superseded', 'is', null)
        .where('leases.seat_until', '>', asked.now)
        // A lease that begins later was made by a clock that was ahead, and devices have refused it.
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
 * The entitlement whose seat the device takes: one that it holds already, else the first with a free seat.
 * @throws SEATS_TAKEN
 */
export function chooseSeat(entitlements: readonly Row[]): EntitlementTable {
  const chosen = entitlements.find(({ held }) => held > 0) ?? entitlements.find(({ taken, seats }) => taken < seats);
  if (chosen) return chosen;
  throw new ModelGuardError('SEATS_TAKEN', 'As many devices as the entitlement allows hold a lease now');
}

/**
 * Writes a lease in place of the device's earlier ones of the same model and entitlement; returns their ids. The seat lasts as
 * long as the longest of them: the device may have kept that one, and the server cannot take it back.
 */
export async function takeSeat(trx: Transaction<Schema>, lease: Omit<LeaseTable, SeatColumns>): Promise<readonly string[]> {
  const superseded = await trx
    .updateTable('leases')
    .set({ superseded: lease.created })
    .where('entitlement', '=', lease.entitlement)
    .where('device', '=', lease.device)
    .where('name', '=', lease.name)
    .where('superseded', 'is', null)
    .where('seat_until', '>', lease.created)
    .where('not_before', '<=', lease.created)
    .returning(['id', 'seat_until'])
    .execute();
  const seat_until = Math.max(lease.not_after, ...superseded.map((earlier) => earlier.seat_until));
  await trx
    .insertInto('leases')
    .values({ ...lease, revoked: 0, seat_until, superseded: null })
    .execute();
  return superseded.map(({ id }) => id);
}
type SeatColumns = 'revoked' | 'seat_until' | 'superseded';

/** Undoes {@link takeSeat}. A lease that was superseded meanwhile stays: its successor leads back to it. */
export async function giveSeatBack(trx: Transaction<Schema>, lease: string, superseded: readonly string[]): Promise<void> {
  const removed = await trx
    .deleteFrom('leases')
    .where('id', '=', lease)
    .where('superseded', 'is', null)
    .returning('id')
    .executeTakeFirst();
  if (removed && superseded.length > 0)
    await trx.updateTable('leases').set({ superseded: null }).where('id', 'in', superseded).execute();
}
