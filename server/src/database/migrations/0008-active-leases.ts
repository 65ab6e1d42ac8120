/**
 * An index of the leases that hold a seat, so that listing them does not read ended ones: the cleanup frees seats of leases that
 * ended long ago.
 */
export const activeLeases: readonly string[] = [
  'CREATE INDEX leases_active ON leases (created, id) WHERE superseded IS NULL AND seat_until > 0',
  'CREATE INDEX leases_active_name ON leases (name, created, id) WHERE superseded IS NULL AND seat_until > 0',
];
