/** Columns for checked parts, which need no second reading, and an index for pages of an account's leases. */
import type { TableDialect } from '../dialect.js';

/** The statements in a database's dialect. */
export const checkedParts = ({ text }: TableDialect): readonly string[] => [
  ...['disk_parts', 'uploads'].flatMap((table) => [
    `ALTER TABLE ${table} ADD COLUMN checked_small ${text}`,
    `ALTER TABLE ${table} ADD COLUMN checked_mark ${text}`,
  ]),
  'DROP INDEX leases_account',
  'CREATE INDEX leases_account_created ON leases (account, created, id)',
];
