/** Parts that were checked need no second reading; an account's leases are exported in pages. */
import type { Words } from '../words.js';

/** The statements in a database's own words. */
export const checkedParts = ({ text }: Words): readonly string[] => [
  ...['disk_parts', 'uploads'].flatMap((table) => [
    `ALTER TABLE ${table} ADD COLUMN checked_small ${text}`,
    `ALTER TABLE ${table} ADD COLUMN checked_mark ${text}`,
  ]),
  'DROP INDEX leases_account',
  'CREATE INDEX leases_account_created ON leases (account, created, id)',
];
