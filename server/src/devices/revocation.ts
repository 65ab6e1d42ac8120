/** Ends leases, and frees the seats that they hold. */
import type { Transaction } from 'kysely';
import type { LeaseTable, Schema } from '../database/schema.js';

/** The columns of a revoked lease, whose seat is free. */
export const REVOKED = { revoked: 1, seat_until: 0 } as const;

/** Revokes a lease and frees its seat, also of the leases that it superseded. Undefined if there is none. */
export async function revokeSeat(trx: Transaction<Schema>, id: string): Promise<LeaseTable | undefined> {
  const row = await trx.updateTable('leases').set(REVOKED).where('id', '=', id).returningAll().executeTakeFirst();
  if (row?.superseded === null)
    await trx
      .updateTable('leases')
      .set(REVOKED)
      .where('device', '=', row.device)
      .where('name', '=', row.name)
      .where('entitlement', '=', row.entitlement)
      .where('superseded', 'is not', null)
      .execute();
  return row;
}

/**
 * Revokes the leases of a version. A seat that an earlier, longer lease holds stays: that lease may be of another version, which
 * the device may go on using.
 */
export async function revokeLeasesOf(
  trx: Transaction<Schema>,
  { name, version }: Pick<LeaseTable, 'name' | 'version'>,
): Promise<void> {
  const ofVersion = trx.updateTable('leases').where('name', '=', name).where('version', '=', version);
  await ofVersion.set({ revoked: 1 }).whereRef('seat_until', '>', 'not_after').execute();
  await ofVersion.set(REVOKED).whereRef('seat_until', '<=', 'not_after').execute();
}
