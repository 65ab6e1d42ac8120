/** The tables as SQLite knows them. A migration that was released is never changed; another one follows it. */
import { type Kysely, type Migration, Migrator, sql } from 'kysely';
import type { Database } from '../context.js';
import { FIRST } from './first-migration.js';

const inOrder = (statements: readonly string[]): Migration => ({
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
});

const migrations: Readonly<Record<string, Migration>> = { '0001-first': inOrder(FIRST) };

/** Brings the tables up to date, in one transaction: a server that is killed meanwhile changed nothing. */
export async function migrate(db: Database): Promise<void> {
  const migrator = new Migrator({ db, provider: { getMigrations: async () => ({ ...migrations }) } });
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}
