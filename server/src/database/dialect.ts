/** Table definitions where the two databases differ. All other SQL is the same for both. */

/** The words of a table definition. */
export interface TableDialect {
  /** Whole numbers below 2^53. */
  readonly number: string;
  readonly bytes: string;
  /** Text that is compared and sorted byte by byte. */
  readonly text: string;
  /** Stands after the columns of a table. */
  readonly table: string;
  /** Stands after the columns of a table that consists of its key. */
  readonly keyed: string;
  /** Begins a table whose rows may be lost in a crash. */
  readonly passing: string;
  /** A condition that holds for text of lower-case hex digits alone. */
  isHex(column: string): string;
}

export const SQLITE_TABLES: TableDialect = {
  number: 'INTEGER',
  bytes: 'BLOB',
  text: 'TEXT',
  table: 'STRICT',
  keyed: 'STRICT, WITHOUT ROWID',
  passing: 'TABLE',
  isHex: (column) => `${column} NOT GLOB '*[^0-9a-f]*'`,
};

export const POSTGRES_TABLES: TableDialect = {
  number: 'BIGINT',
  bytes: 'BYTEA',
  // The database's own collation may be any, and may change with the system's libraries.
  text: 'TEXT COLLATE "C"',
  table: '',
  keyed: '',
  passing: 'UNLOGGED TABLE',
  isHex: (column) => `${column} !~ '[^0-9a-f]'`,
};
