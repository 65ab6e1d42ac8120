/**
 * Opening either database. If these fail, replicas start with half of the tables, or the database takes values that no code
 * should write.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../src/database/connection.js';
import { type DatabasePlace, openDatabase } from '../../src/database/open.js';
import { onPostgres, postgresDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase | undefined;
let place: DatabasePlace;
const opened: Database[] = [];
const open = async (): Promise<Database> => {
  const db = await openDatabase(place);
  opened.push(db);
  return db;
};
beforeEach(async () => {
  database = onPostgres ? await postgresDatabase(false) : undefined;
  place = { dataFolder: await mkdtemp(join(tmpdir(), 'guard-database-')), databaseUrl: database?.url };
});
afterEach(async () => {
  for (const db of opened.splice(0)) await db.destroy();
  await rm(place.dataFolder, { recursive: true });
  await database?.drop();
});

const hex = (): string => randomBytes(16).toString('hex');

describe('the database', () => {
  it('is made by the first opener, also by one of three at once, and opens again', async () => {
    const all = await Promise.all([open(), open(), open()]);
    for (const db of [...all, await open()]) expect(await db.selectFrom('users').selectAll().execute()).toEqual([]);
  });

  it('rolls a failed transaction back, whole', async () => {
    const db = await open();
    const failing = db.transaction().execute(async (trx) => {
      await trx.insertInto('meta').values({ key: 'a', value: 'b' }).execute();
      throw new Error('stop');
    });
    await expect(failing).rejects.toThrow('stop');
    expect(await db.selectFrom('meta').selectAll().execute()).toEqual([]);
  });

  it('refuses values that no code should write', async () => {
    const db = await open();
    const subject = { id: hex(), wrapped: Buffer.alloc(1), kind: 'user', day: null, created: 1 } as const;
    await db.insertInto('subjects').values(subject).execute();
    const user = {
      id: hex(),
      subject: subject.id,
      email_index: Buffer.alloc(32),
      profile: Buffer.alloc(1),
      password: 'x',
      role: 'operator',
      disabled: 0,
      must_change_password: 0,
      created: 1,
    } as const;
    const wrong: object[] = [
      { id: 'not hex' },
      { id: 'B'.repeat(32) },
      { id: `${'b'.repeat(31)}\n` },
      { role: 'root' },
      { disabled: 2 },
      { created: 'soon' },
      { created: -1 },
      { created: null },
      { email_index: Buffer.alloc(31) },
      { subject: hex() },
    ];
    for (const change of wrong)
      await expect(
        db
          .insertInto('users')
          .values({ ...user, ...change })
          .execute(),
        JSON.stringify(change),
      ).rejects.toMatchObject({ code: expect.stringMatching(/^(SQLITE_CONSTRAINT|23...|22P02)/) });
    await db.insertInto('users').values(user).execute();
    // The key of a subject goes with its account, or not at all.
    await expect(db.deleteFrom('subjects').execute()).rejects.toMatchObject({
      code: expect.stringMatching(/^(SQLITE_CONSTRAINT_FOREIGNKEY|23503)$/),
    });
  });

  it('gives numbers, bytes and nothing back as they were', async () => {
    const db = await open();
    const row = {
      id: hex(),
      account: hex(),
      name: Buffer.from([0, 255, 92, 39]),
      public_key: 'mgd1:x',
      machine_identity: null,
      state: 'pending',
      created: 2 ** 53 - 1,
      decided: null,
    } as const;
    await db.insertInto('devices').values(row).execute();
    expect(await db.selectFrom('devices').selectAll().executeTakeFirst()).toEqual(row);
    const counted = await db
      .selectFrom('devices')
      .select(({ fn }) => [fn.countAll<number>().as('rows'), fn.max('created').as('newest')])
      .select(({ fn }) => fn.max(fn<number>('length', ['name'])).as('bytes'))
      .executeTakeFirst();
    expect(counted).toEqual({ rows: 1, newest: 2 ** 53 - 1, bytes: 4 });
  });

  it('sorts and compares text byte by byte, whatever language the database speaks', async () => {
    const db = await open();
    const sorted = ['-', 'A', 'B-2', 'B1', 'Z', '_', 'a', 'ab', 'b', 'ä', '€', '\u{1F600}'];
    for (const key of [...sorted].reverse()) await db.insertInto('meta').values({ key, value: '' }).execute();
    const found = await db.selectFrom('meta').select('key').orderBy('key').execute();
    expect(found.map(({ key }) => key)).toEqual(sorted);
    const after = await db.selectFrom('meta').select('key').where('key', '>', 'Z').orderBy('key').execute();
    expect(after.map(({ key }) => key)).toEqual(sorted.slice(5));
    expect(await db.selectFrom('meta').selectAll().where('key', '=', 'z').execute()).toEqual([]);
  });
});
