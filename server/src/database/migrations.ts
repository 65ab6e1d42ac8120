/** The tables, brought up to date. A migration that was released is never changed; another one follows it. */
import { type Kysely, type Migration, Migrator, sql } from 'kysely';
import type { Database } from '../context.js';
import { firstTables } from './migrations/0001-first.js';
import { knownNetworks } from './migrations/0003-known-networks.js';
import { listIndexes } from './migrations/0004-list-indexes.js';
import type { Words } from './words.js';

const inOrder = (statements: readonly string[]): Migration => ({
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
});

const migrations = (words: Words): Record<string, Migration> => ({
  '0001-first': inOrder(firstTables(words)),
  '0003-known-networks': inOrder(knownNetworks(words)),
  '0004-list-indexes': inOrder(listIndexes),
});

/** Brings the tables up to date, in one transaction: a server that is killed meanwhile changed nothing, and others wait for it. */
export async function migrate(db: Database, words: Words): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations(words) } });
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}
