/** One lease of a device and model holds their seat; earlier ones are superseded, and forgotten soon. */
import type { TableDialect } from '../dialect.js';

/** The statements in a database's dialect. A lease that was revoked or superseded holds no seat. */
export const leaseSeats = ({ number }: TableDialect): readonly string[] => [
  `ALTER TABLE leases ADD COLUMN seat_until ${number} NOT NULL DEFAULT 0 CHECK (seat_until >= 0)`,
  `ALTER TABLE leases ADD COLUMN superseded ${number} CHECK (superseded >= 0)`,
  'UPDATE leases SET seat_until = not_after WHERE revoked = 0',
  'DROP INDEX leases_entitlement',
  // Seats are counted by entitlement among the leases that hold one.
  'CREATE INDEX leases_seat ON leases (entitlement, seat_until) WHERE superseded IS NULL',
  'CREATE INDEX leases_superseded ON leases (superseded) WHERE superseded IS NOT NULL',
];
