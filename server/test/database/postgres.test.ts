/** PostgreSQL. If these fail, replicas write past each other, one that hangs stops all of them, or secrets get into errors. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Database } from '../../src/database/connection.js';
import { openDatabase } from '../../src/database/open.js';
import { DatabaseUnavailable } from '../../src/database/unavailable.js';
import { asSuperuser, onPostgres, postgresDatabase } from '../support/database.js';
import { startTestServer } from '../support/server.js';

describe.skipIf(!onPostgres)('PostgreSQL (only where tests run on it)', () => {
  let database: Awaited<ReturnType<typeof postgresDatabase>>;
  let folder: string;
  /** Two replicas: each has connections of its own. */
  let db: Database;
  let other: Database;
  const open = (databaseUrl = database.url): Promise<Database> => openDatabase({ dataFolder: folder, databaseUrl });
  beforeEach(async () => {
    database = await postgresDatabase(true);
    folder = await mkdtemp(join(tmpdir(), 'guard-database-'));
    [db, other] = [await open(), await open()];
  });
  afterEach(async () => {
    await Promise.all([db.destroy(), other.destroy()]);
    await rm(folder, { recursive: true });
    await database.drop();
  });

  const name = (): string => new URL(database.url).pathname.slice(1);
  /** Ends every connection to the database, as a restart of it does. */
  const cutOff = (which = 'true'): Promise<unknown> =>
    asSuperuser((client) =>
      client.query(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${name()}' AND ${which}`),
    );
  /** Resolves when so many sessions wait for a lock. */
  const waiting = async (count: number): Promise<void> => {
    const question = `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
      AND database = (SELECT oid FROM pg_database WHERE datname = '${name()}')`;
    await asSuperuser(async (client) => {
      while ((await client.query(question)).rows.length < count);
    });
  };
  const add = async (on: Database): Promise<void> => {
    await on.transaction().execute(async (trx) => {
      const row = await trx.selectFrom('meta').select('value').where('key', '=', 'count').executeTakeFirst();
      const value = String(Number(row?.value ?? 0) + 1);
      await trx
        .insertInto('meta')
        .values({ key: 'count', value })
        .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
        .execute();
    });
  };
  const count = async (): Promise<string | undefined> =>
    (await db.selectFrom('meta').select('value').where('key', '=', 'count').executeTakeFirst())?.value;

  describe('transactions', () => {
    it('of several replicas run one after the other, and each sees all earlier writes', async () => {
      await Promise.all(Array.from({ length: 40 }, (_, at) => add(at % 2 === 0 ? db : other)));
      expect(await count()).toBe('40');
    });

    it('are so where the database has another isolation by default', async () => {
      await asSuperuser((client) =>
        client.query(`ALTER DATABASE ${name()} SET default_transaction_isolation TO 'repeatable read'`),
      );
      await cutOff();
      await Promise.all(Array.from({ length: 20 }, (_, at) => add(at % 2 === 0 ? db : other)));
      expect(await count()).toBe('20');
    });

    it('wait for the one before without keeping readers from reading', async () => {
      const first = db.transaction().execute(async (trx) => {
        await trx.insertInto('meta').values({ key: 'a', value: 'b' }).execute();
        const second = add(other);
        await waiting(1);
        expect(await other.selectFrom('meta').selectAll().execute()).toEqual([]);
        return { second };
      });
      await (await first).second;
      expect(await count()).toBe('1');
    });

    it('that wait delay no read', async () => {
      let waiting: Promise<void>[] = [];
      await db.transaction().execute(async (trx) => {
        await trx.insertInto('meta').values({ key: 'a', value: 'b' }).execute();
        waiting = Array.from({ length: 30 }, () => add(db));
        expect(await db.selectFrom('meta').selectAll().execute()).toEqual([]);
      });
      await Promise.all(waiting);
      expect(await count()).toBe('30');
    });

    it('of which a query failed are never taken for committed', async () => {
      const swallowing = db.transaction().execute(async (trx) => {
        await trx.insertInto('meta').values({ key: 'a', value: 'b' }).execute();
        await sql`select nothing from nowhere`.execute(trx).catch(() => undefined);
      });
      await expect(swallowing).rejects.toThrow('was not committed');
      expect(await db.selectFrom('meta').selectAll().execute()).toEqual([]);
    });

    it('of a replica that hangs are ended, and other replicas go on', async () => {
      const hung = db.transaction().execute(async (trx) => {
        await trx.insertInto('meta').values({ key: 'a', value: 'b' }).execute();
        // It does nothing while the other one waits for it.
        await add(other);
      });
      await expect(hung).rejects.toBeInstanceOf(DatabaseUnavailable);
      expect(await db.selectFrom('meta').select('key').execute()).toEqual([{ key: 'count' }]);
    });

    it('of which a query takes too long are not to be asked for again', async () => {
      const slow = db.transaction().execute(async (trx) => {
        await sql`set local statement_timeout = 50`.execute(trx);
        await sql`select pg_sleep(60)`.execute(trx);
      });
      await expect(slow).rejects.toMatchObject({ name: 'DatabaseUnavailable', undone: false });
      await add(db);
      expect(await count()).toBe('1');
    });

    it('keep what they acknowledge, whatever the default of the database is', async () => {
      await asSuperuser((client) => client.query(`ALTER DATABASE ${name()} SET synchronous_commit TO off`));
      await cutOff();
      const { rows } = await sql<{ synchronous_commit: string }>`show synchronous_commit`.execute(db);
      expect(rows).toEqual([{ synchronous_commit: 'on' }]);
    });
  });

  describe('a connection that is lost', () => {
    it('while idle is replaced', async () => {
      await cutOff();
      expect(await count()).toBeUndefined();
      await add(db);
      expect(await count()).toBe('1');
    });

    it('within a transaction fails it, undone, and the next one succeeds', async () => {
      const failing = db.transaction().execute(async (trx) => {
        await trx.insertInto('meta').values({ key: 'a', value: 'b' }).execute();
        await cutOff();
        await trx.selectFrom('meta').selectAll().execute();
      });
      await expect(failing).rejects.toMatchObject({ name: 'DatabaseUnavailable', undone: true });
      await add(db);
      expect(await db.selectFrom('meta').select('key').execute()).toEqual([{ key: 'count' }]);
    });

    it('at the commit leaves open what became of it', async () => {
      const failing = db.transaction().execute(async (trx) => {
        await trx.insertInto('meta').values({ key: 'a', value: 'b' }).execute();
        await cutOff();
      });
      await expect(failing).rejects.toMatchObject({ name: 'DatabaseUnavailable', undone: false });
    });

    it('while something is written outside of a transaction leaves open what became of it, and not while something is read', async () => {
      const ended = sql<string>`pg_terminate_backend(pg_backend_pid())::text`;
      const writing = sql`insert into meta (key, value) values ('a', ${ended})`.execute(db);
      await expect(writing).rejects.toMatchObject({ name: 'DatabaseUnavailable', undone: false });
      await expect(sql`select ${ended}`.execute(db)).rejects.toMatchObject({ name: 'DatabaseUnavailable', undone: true });
    });

    it('while it waits for its turn fails that request alone', async () => {
      await db.transaction().execute(async () => {
        const turn = add(other);
        const failed = expect(turn).rejects.toMatchObject({ name: 'DatabaseUnavailable', undone: true });
        await waiting(1);
        await cutOff("wait_event_type = 'Lock'");
        await failed;
      });
      await add(other);
      expect(await count()).toBe('1');
    });
  });

  describe('a database that is away', () => {
    const allow = (allowed: boolean): Promise<unknown> =>
      asSuperuser((client) => client.query(`ALTER DATABASE ${name()} ALLOW_CONNECTIONS ${allowed}`));

    it('makes the server not ready, and 503 of requests that may be repeated, until it is back', async () => {
      const server = await startTestServer({ config: { databaseUrl: database.url } });
      try {
        expect((await server.request(undefined, 'ready')).statusCode).toBe(200);
        await allow(false);
        await cutOff();
        const ready = await server.request(undefined, 'ready');
        expect([ready.statusCode, ready.headers['retry-after']]).toEqual([503, '2']);
        const { error } = ready.json();
        expect(error).toMatchObject({ code: 'SERVER_FAILED', message: expect.stringContaining('database') });
        expect((await server.request(undefined, 'health')).statusCode).toBe(200);
        await allow(true);
        expect((await server.request(undefined, 'ready')).statusCode).toBe(200);
        expect((await server.request('admin', 'account')).statusCode).toBe(200);
      } finally {
        await allow(true);
        await server.close();
      }
    });

    it('is said in a sentence at the start, without the password', async () => {
      const wrong = new URL(database.url);
      wrong.password = 'a-wrong-password-5871';
      const elsewhere = database.url.replace(/:[0-9]+\//, ':1/');
      // The one of tests has no TLS: it is not spoken to without.
      for (const url of [wrong.href, elsewhere, `${database.url}?sslmode=verify-full`]) {
        const error: unknown = await open(url).catch((cause: unknown) => cause);
        expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE' });
        for (const secret of ['a-wrong-password-5871', database.password ?? ''])
          expect(inspect(error, { depth: 9 })).not.toContain(secret);
      }
    });
  });

  it('is asked for by a URL that is never shown', async () => {
    for (const url of ['mysql://a:hidden-5871@b/c', 'postgres://a:hidden-5871@b:port/c', 'hidden-5871', '/var/run/hidden-5871']) {
      const error: unknown = await open(url).catch((cause: unknown) => cause);
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
      expect(inspect(error, { depth: 9 })).not.toContain('hidden-5871');
    }
  });

  it('shows no row in errors, which are logged', async () => {
    const password = randomBytes(16).toString('hex');
    const broken = { id: 'no id', subject: 'no id', email_index: Buffer.alloc(32), profile: Buffer.alloc(1), password } as const;
    const rest = { role: 'operator', disabled: 0, must_change_password: 0, created: 1 } as const;
    const error: unknown = await db
      .insertInto('users')
      .values({ ...broken, ...rest })
      .execute()
      .catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: '23514', table: 'users' });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(password);
  });

  it('takes no text with U+0000, and says so', async () => {
    const asked = db.selectFrom('meta').selectAll().where('key', '=', 'a\0b').execute();
    await expect(asked).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('finds leases, versions and events by index', async () => {
    const questions = [
      `select count(*) from leases where entitlement = 'x' and revoked = 0 and not_after > 5`,
      `select * from versions where name = 'x' and state = 'released' order by ordinal desc limit 1`,
      `select * from audit where action = 'x' and seq < 5 order by seq desc limit 10`,
      `select * from challenges where expires < 5`,
    ];
    const plans = await db.connection().execute(async (connection) => {
      // Nothing is in the tables yet: otherwise it would read them whole.
      await sql`set enable_seqscan = off`.execute(connection);
      const found: string[] = [];
      for (const question of questions) {
        const { rows } = await sql.raw<{ 'QUERY PLAN': string }>(`explain ${question}`).execute(connection);
        found.push(rows.map((row) => row['QUERY PLAN']).join('; '));
      }
      return found;
    });
    for (const plan of plans) {
      expect(plan).toMatch(/Index/);
      expect(plan).not.toMatch(/Seq Scan|Sort/);
    }
  });
});
