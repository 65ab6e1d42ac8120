/** An index for each filter of each list, in the order of the list: a page costs as much as its rows, however many rows there are. */
export const listIndexes: readonly string[] = [
  'CREATE INDEX devices_account_created ON devices (account, created, id)',
  'CREATE INDEX devices_state_created ON devices (state, created, id)',
  'DROP INDEX devices_account',
  'CREATE INDEX entitlements_account_created ON entitlements (account, created, id)',
  'CREATE INDEX entitlements_name_created ON entitlements (name, created, id)',
  'CREATE INDEX leases_device_created ON leases (device, created, id)',
  'CREATE INDEX leases_name_created ON leases (name, created, id)',
];
