/** What the two databases call differently where tables are made. Everything else is said once, in words that both know. */

/** Words of a table's definition. */
export interface Words {
  /** Whole numbers below 2^53. */
  readonly number: string;
  readonly bytes: string;
  /** Text that is compared and sorted byte by byte. */
  readonly text: string;
  /** After a table's columns. */
  readonly table: string;
  /** The same of a table that is nothing but its key. */
  readonly keyed: string;
  /** Begins a table whose rows may be lost in a crash. */
  readonly passing: string;
  /** Holds for text of lower-case hex digits alone. */
  isHex(column: string): string;
}

export const SQLITE_WORDS: Words = {
  number: 'INTEGER',
  bytes: 'BLOB',
  text: 'TEXT',
  table: 'STRICT',
  keyed: 'STRICT, WITHOUT ROWID',
  passing: 'TABLE',
  isHex: (column) => `${column} NOT GLOB '*[^0-9a-f]*'`,
};

export const POSTGRES_WORDS: Words = {
  number: 'BIGINT',
  bytes: 'BYTEA',
  // The database's own collation may be any, and may change with the system's libraries.
  text: 'TEXT COLLATE "C"',
  table: '',
  keyed: '',
  passing: 'UNLOGGED TABLE',
  isHex: (column) => `${column} !~ '[^0-9a-f]'`,
};
