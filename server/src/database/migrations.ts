/** Brings the tables up to date. A migration that was released is never changed; a new one follows it. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import { DEFAULT_MIGRATION_TABLE, type Kysely, type Migration, Migrator, sql } from 'kysely';
import type { Database } from './connection.js';
import type { TableDialect } from './dialect.js';
import { firstTables } from './migrations/0001-first.js';
import { knownNetworks } from './migrations/0003-known-networks.js';
import { listIndexes } from './migrations/0004-list-indexes.js';
import { diskParts } from './migrations/0005-disk-parts.js';
import { leaseSeats } from './migrations/0006-lease-seats.js';
import { checkedParts } from './migrations/0007-checked-parts.js';
import { activeLeases } from './migrations/0008-active-leases.js';
import { rotationRemaining } from './migrations/0009-rotation-remaining.js';

const inOrder = (statements: readonly string[]): Migration => ({
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
});

const migrations = (words: TableDialect): Record<string, Migration> => ({
  '0001-first': inOrder(firstTables(words)),
  '0003-known-networks': inOrder(knownNetworks(words)),
  '0004-list-indexes': inOrder(listIndexes),
  '0005-disk-parts': inOrder(diskParts(words)),
  '0006-lease-seats': inOrder(leaseSeats(words)),
  '0007-checked-parts': inOrder(checkedParts(words)),
  '0008-active-leases': inOrder(activeLeases),
  '0009-rotation-remaining': inOrder(rotationRemaining(words)),
});

/**
 * Runs the missing migrations in one transaction: a server that is killed meanwhile has changed nothing, and other servers wait.
 * @throws VERSION_UNSUPPORTED for a database that a newer version of the server has changed
 */
export async function migrate(db: Database, words: TableDialect): Promise<void> {
  const known = migrations(words);
  const migrator = new Migrator({ db, provider: { getMigrations: async () => known } });
  await refuseNewer(db, known);
  const { error } = await migrator.migrateToLatest();
  if (error) throw error;
}

async function refuseNewer(db: Database, known: Readonly<Record<string, Migration>>): Promise<void> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some(({ name }) => name === DEFAULT_MIGRATION_TABLE)) return;
  const { rows } = await sql<{ name: string }>`select name from ${sql.table(DEFAULT_MIGRATION_TABLE)} order by name`.execute(db);
  const unknown = rows.filter(({ name }) => known[name] === undefined).map(({ name }) => name);
  if (unknown.length === 0) return;
  throw new ModelGuardError(
    'VERSION_UNSUPPORTED',
    `The database was changed by a newer version of the guard server (${unknown.join(', ')})`,
    {
      advice:
        'Start that version or a later one. To go back, restore a backup from before the update: this version cannot undo it.',
    },
  );
}
