/** The tables as SQLite knows them. A migration that was released is never changed; another one follows it. */
import { type Kysely, type Migration, Migrator, sql } from 'kysely';
import type { Database } from '../context.js';
import { FIRST } from './first-migration.js';

const inOrder = (statements: readonly string[]): Migration => ({
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
});

/** Counts of a day at most: what was counted in the old way is forgotten. */
const FAILURES_BY_NETWORK: readonly string[] = [
  'DROP TABLE login_failures',
  `CREATE TABLE login_failures (
    email_index BLOB NOT NULL CHECK (length(email_index) = 32),
    network BLOB NOT NULL CHECK (length(network) IN (0, 32)),
    failures INTEGER NOT NULL CHECK (failures > 0),
    first INTEGER NOT NULL CHECK (first >= 0),
    last INTEGER NOT NULL CHECK (last >= first),
    locked_until INTEGER NOT NULL CHECK (locked_until >= 0),
    PRIMARY KEY (email_index, network)
  ) STRICT`,
  'CREATE INDEX login_failures_last ON login_failures (last)',
];

const migrations: Readonly<Record<string, Migration>> = {
  '0001-first': inOrder(FIRST),
  '0002-failures-by-network': inOrder(FAILURES_BY_NETWORK),
};

/** Brings the tables up to date, in one transaction: a server that is killed meanwhile changed nothing. */
export async function migrate(db: Database): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...migrations }) } });
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}
