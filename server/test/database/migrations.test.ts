/** Databases of other versions. If these fail, an update loses rows, or a newer database is met with a stack trace. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Kysely, Migrator, sql } from 'kysely';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Database } from '../../src/database/connection.js';
import { POSTGRES_TABLES, SQLITE_TABLES } from '../../src/database/dialect.js';
import { firstTables } from '../../src/database/migrations/0001-first.js';
import { openDatabase } from '../../src/database/open.js';
import { openPostgres } from '../../src/database/postgres/driver.js';
import { openSqlite } from '../../src/database/sqlite/file.js';
import { onPostgres, postgresDatabase } from '../support/database.js';

let folder: string;
let url: string | undefined;
let drop: () => Promise<void> = async () => undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-migrations-'));
  if (onPostgres) ({ url, drop } = await postgresDatabase(false));
});
afterEach(async () => {
  await drop();
  await rm(folder, { recursive: true });
});

const place = () => ({ dataFolder: folder, databaseUrl: url });
const id = (digit: string): string => digit.repeat(32);

/** As the first version left it. */
async function first(task: (db: Database) => Promise<unknown>): Promise<void> {
  const db = url === undefined ? await openSqlite(folder) : openPostgres(url);
  const up = async (trx: Kysely<unknown>): Promise<void> => {
    for (const statement of firstTables(onPostgres ? POSTGRES_TABLES : SQLITE_TABLES)) await sql.raw(statement).execute(trx);
  };
  const { error } = await new Migrator({
    db,
    provider: { getMigrations: async () => ({ '0001-first': { up } }) },
  }).migrateToLatest();
  if (error) throw error;
  await task(db);
  await db.destroy();
}

it('one of the first version, with rows, is brought up to date', async () => {
  const version = {
    name: 'net',
    ordinal: 1,
    state: 'released',
    format: 'onnx',
    payload_id: id('a'),
    digest: 'd',
    small: Buffer.from('small'),
    wrapped_to: 'mgx1:k',
    big_size: 700,
    publisher: 'mgs1:p',
    published_by: id('b'),
    created: 5,
    decided: 5,
  } as const;
  const upload = { name: 'net', version: '2', size: 9, piece_bytes: 1, storage_id: '', account: id('b'), created: 5, touched: 5 };
  const lease = { name: 'net', version: '1', device: id('d'), account: id('b'), not_before: 0, offline_until: 7, created: 5 };
  await first(async (db) => {
    await db
      .insertInto('versions')
      .values({ ...version, version: '1', big_name: 'on-disk' })
      .execute();
    await db
      .insertInto('versions')
      .values({ ...version, version: '2', ordinal: 2, big_name: 'in-bucket' })
      .execute();
    await db
      .insertInto('uploads')
      .values({ ...upload, id: id('c'), part: 'in-bucket', state: 'stored' })
      .execute();
    const row = { ...lease, id: id('e'), entitlement: id('f'), not_after: 9, revoked: 0 };
    const rotation = { to_key: 'mgx1:new', total: 3, started: 5, accept_until: 9 };
    await db
      .insertInto('rotations')
      .values([
        { ...rotation, id: id('1'), ordinal: 1, from_key: 'mgx1:k', finished: 6 },
        { ...rotation, id: id('2'), ordinal: 2, from_key: 'mgx1:gone', finished: 6 },
        { ...rotation, id: id('3'), ordinal: 3, from_key: 'mgx1:k', finished: null },
      ])
      .execute();
    await sql`insert into leases ${sql.raw(`(${Object.keys(row).join(', ')})`)} values (${sql.join(Object.values(row))})`.execute(
      db,
    );
  });
  const db = await openDatabase(place());
  try {
    expect(await db.selectFrom('versions').select(['version', 'big_name']).orderBy('version').execute()).toEqual([
      { version: '1', big_name: 'on-disk' },
      { version: '2', big_name: 'in-bucket' },
    ]);
    // Parts of the disk count for the account that published them; parts of the bucket have a row already.
    expect(await db.selectFrom('disk_parts').selectAll().execute()).toEqual([
      { part: 'on-disk', account: id('b'), size: 700, created: 5, checked_small: null, checked_mark: null },
    ]);
    expect(await db.selectFrom('leases').select(['id', 'not_after', 'revoked', 'seat_until', 'superseded']).execute()).toEqual([
      { id: id('e'), not_after: 9, revoked: 0, seat_until: 9, superseded: null },
    ]);
    // Both versions are wrapped to the old key of the first; the last one runs.
    const remaining = await db.selectFrom('rotations').select('remaining').orderBy('ordinal').execute();
    expect(remaining.map((row) => row.remaining)).toEqual([2, 0, null]);
  } finally {
    await db.destroy();
  }
});

it('one of a newer version is refused in a sentence, and stays as it is', async () => {
  const db = await openDatabase(place());
  await sql`insert into kysely_migration (name, timestamp) values ('9999-future', '2040-01-01T00:00:00.000Z')`.execute(db);
  await db.destroy();
  await expect(openDatabase(place())).rejects.toMatchObject({
    code: 'VERSION_UNSUPPORTED',
    message: expect.stringMatching(/newer version of the guard server \(9999-future\).*backup/),
  });
});
