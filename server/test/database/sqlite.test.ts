/** The database file. If these fail, acknowledged work can be lost, or erased data stays on the disk. */
import { chmod, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Database } from '../../src/database/connection.js';
import { openDatabase } from '../../src/database/open.js';
import { CommonFile } from '../../src/database/sqlite/drivers/driver.js';
import { databaseFile } from '../../src/database/sqlite/file.js';

let folder: string;
let db: Database;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-database-'));
  db = await openDatabase({ dataFolder: folder });
});
afterEach(async () => {
  await db.destroy();
  await rm(folder, { recursive: true });
});

const pragma = async (name: string): Promise<unknown> => {
  const { rows } = await sql.raw<Record<string, unknown>>(`pragma ${name}`).execute(db);
  return Object.values(rows[0] ?? {})[0];
};

describe('the SQLite database', () => {
  it('is durable, checks references, and overwrites what is deleted', async () => {
    expect(await pragma('journal_mode')).toBe('wal');
    expect(await pragma('synchronous')).toBe(2);
    expect(await pragma('foreign_keys')).toBe(1);
    expect(await pragma('secure_delete')).toBe(1);
    expect(await pragma('busy_timeout')).toBe(5000);
  });

  it('compiles a query once, and evicts the least recently used', async () => {
    const prepared = vi.spyOn(CommonFile.prototype, 'prepare');
    const ask = (count: number) => sql.raw(`select ${count}`).execute(db);
    await ask(0);
    await ask(0);
    expect(prepared).toHaveBeenCalledTimes(1);
    for (let count = 1; count <= 256; count++) await ask(count);
    await ask(256);
    expect(prepared).toHaveBeenCalledTimes(257);
    await ask(0);
    expect(prepared).toHaveBeenCalledTimes(258);
    prepared.mockRestore();
  });

  it('is closed to other users again where a copy of it was open', async () => {
    await db.destroy();
    await chmod(databaseFile(folder), 0o644);
    db = await openDatabase({ dataFolder: folder });
    expect((await stat(databaseFile(folder))).mode & 0o777).toBe(0o600);
  });

  it('holds the write lock from the beginning of a transaction', async () => {
    const other = await openDatabase({ dataFolder: folder });
    await sql`pragma busy_timeout = 0`.execute(other);
    try {
      await db.transaction().execute(async (trx) => {
        await trx.selectFrom('meta').selectAll().execute();
        const write = other.insertInto('meta').values({ key: 'a', value: 'b' }).execute();
        await expect(write).rejects.toMatchObject({
          name: 'DatabaseUnavailable',
          message: expect.stringMatching(/Another process holds.*SQLITE_BUSY/),
        });
      });
    } finally {
      await other.destroy();
    }
  });

  it('finds leases, versions and events by index', async () => {
    const plans = [
      sql`explain query plan select count(*) from leases where entitlement = 'x' and revoked = 0 and not_after > 5`,
      sql`explain query plan select * from versions where name = 'x' and state = 'released' order by ordinal desc limit 1`,
      sql`explain query plan select * from audit where action = 'x' and seq < 5 order by seq desc limit 10`,
      sql`explain query plan select * from challenges where expires < 5`,
    ];
    for (const plan of plans) {
      const { rows } = await plan.execute(db);
      const details = (rows as { detail: string }[]).map(({ detail }) => detail).join('; ');
      expect(details).toMatch(/USING (COVERING )?INDEX/);
      expect(details).not.toMatch(/SCAN|TEMP B-TREE/);
    }
  });
});

describe('a full disk', () => {
  /** As if it were full from now on. */
  const fill = async (): Promise<void> => {
    await sql.raw(`pragma max_page_count = ${Number(await pragma('page_count'))}`).execute(db);
  };
  const large = { key: 'large', value: 'x'.repeat(1_000_000) };

  it('is named as the reason, within a transaction too: rolling back does not take its place', async () => {
    await fill();
    const full = {
      name: 'DatabaseUnavailable',
      undone: false,
      message: expect.stringMatching(/The disk of the database is full.*SQLITE_FULL/),
    };
    await expect(db.insertInto('meta').values(large).execute()).rejects.toMatchObject(full);
    const transaction = db.transaction().execute(async (trx) => {
      await trx.insertInto('meta').values({ key: 'small', value: '' }).execute();
      await trx.insertInto('meta').values(large).execute();
    });
    await expect(transaction).rejects.toMatchObject(full);
    expect(await db.selectFrom('meta').selectAll().where('key', '=', 'small').execute()).toEqual([]);
    await sql.raw('pragma max_page_count = 1000000').execute(db);
    await db.transaction().execute((trx) => trx.insertInto('meta').values(large).execute());
  });
});
