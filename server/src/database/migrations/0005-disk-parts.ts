/** Rows for parts on the server's own disk, so that the parts of an account can be counted. */
import type { TableDialect } from '../dialect.js';

/** The statements in a database's dialect. Parts of existing versions count for the account that published them. */
export const diskParts = ({ number, text, table, isHex }: TableDialect): readonly string[] => [
  `CREATE TABLE disk_parts (
    part ${text} PRIMARY KEY NOT NULL,
    account ${text} NOT NULL CHECK (length(account) = 32 AND ${isHex('account')}),
    size ${number} NOT NULL CHECK (size >= 0),
    created ${number} NOT NULL CHECK (created >= 0)
  ) ${table}`,
  'CREATE INDEX disk_parts_account ON disk_parts (account)',
  'CREATE INDEX disk_parts_created ON disk_parts (created)',
  `INSERT INTO disk_parts (part, account, size, created)
    SELECT big_name, min(published_by), max(big_size), min(created) FROM versions
    WHERE NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.part = versions.big_name) GROUP BY big_name`,
];
