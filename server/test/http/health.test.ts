/** Readiness for balancers. If these fail, a balancer sends requests to replicas that cannot serve, or removes those that can. */
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { WRITER } from '../../src/database/postgres/driver.js';
import { sqliteDriver } from '../../src/database/sqlite/drivers/index.js';
import { databaseFile } from '../../src/database/sqlite/file.js';
import { makeWriteProbe } from '../../src/database/writable.js';
import { asSuperuser, onPostgres } from '../support/database.js';
import { startTestServer, type TestServer } from '../support/server.js';

async function withServer(task: (server: TestServer, database: string) => Promise<void>): Promise<void> {
  const server = await startTestServer();
  try {
    await task(server, new URL(server.config.databaseUrl ?? 'file:///').pathname);
  } finally {
    await server.close();
  }
}
/** Runs `task` while no other connection reads or writes the table. */
const whileLocked = (table: string, database: string, task: () => Promise<void>): Promise<void> =>
  asSuperuser(async (client) => {
    await client.query('BEGIN');
    await client.query(`LOCK TABLE ${table}`);
    await task();
  }, database);

it('a server whose database is there is ready', () =>
  withServer(async (server) => {
    const answer = await server.request(undefined, 'ready');
    expect([answer.statusCode, answer.json()]).toEqual([200, { status: 'ready' }]);
  }));

it('tries a write, and not at each request', () =>
  withServer(async (server) => {
    const tried = async () =>
      (await server.context.db.selectFrom('meta').select('value').where('key', '=', 'write_probe').executeTakeFirst())?.value;
    expect(await tried()).toBeUndefined();
    for (let n = 0; n < 20; n++) expect((await server.request(undefined, 'ready')).statusCode).toBe(200);
    expect(await tried()).toBe(String(server.clock.now));
    server.clock.now += 1;
    expect((await server.request(undefined, 'ready')).statusCode).toBe(200);
    expect(await tried()).toBe(String(server.clock.now - 1));
  }));

it('tries again after its time alone, and waits for no try longer than is fair while one has succeeded lately', async () => {
  let at = 0;
  let tries = 0;
  let attempt: () => Promise<void> = async () => undefined;
  const transaction = () => ({
    execute: async () => {
      tries++;
      await attempt();
    },
  });
  const probe = makeWriteProbe({ db: { transaction } as never, now: () => 0 }, () => at);
  await probe();
  at = 4999;
  await probe();
  expect(tries).toBe(1);
  at = 5000;
  attempt = () => Promise.reject(new Error('full'));
  await expect(probe()).rejects.toThrow('full');
  await expect(probe()).rejects.toThrow('full');
  expect(tries).toBe(3);
  let end: () => void = () => undefined;
  attempt = () =>
    new Promise<void>((resolve) => {
      end = resolve;
    });
  await probe();
  at = 40_000;
  const waiting = probe();
  expect(tries).toBe(4);
  end();
  await waiting;
});

it.skipIf(onPostgres)('it is not where SQLite takes no write', () =>
  withServer(async (server) => {
    await sql`pragma query_only = on`.execute(server.context.db);
    expect((await server.request(undefined, 'ready')).statusCode).toBe(503);
    expect((await server.request(undefined, 'health')).statusCode).toBe(200);
    await sql`pragma query_only = off`.execute(server.context.db);
    expect((await server.request(undefined, 'ready')).statusCode).toBe(200);
  }),
);

it.skipIf(!onPostgres)('it is not where nothing can be written', () =>
  withServer(async (server, database) => {
    const name = database.slice(1);
    const readOnly = (on: boolean): Promise<void> =>
      asSuperuser(async (client) => {
        await client.query(`ALTER DATABASE ${name} SET default_transaction_read_only TO ${on}`);
        await client.query(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${name}'`);
      });
    await readOnly(true);
    const answer = await server.request(undefined, 'ready');
    expect([answer.statusCode, answer.headers['retry-after']]).toEqual([503, '2']);
    expect((await server.request(undefined, 'health')).statusCode).toBe(200);
    await readOnly(false);
    expect((await server.request(undefined, 'ready')).statusCode).toBe(200);
  }),
);

it.skipIf(!onPostgres)('nor where the database leaves it waiting', () =>
  withServer(async (server, database) => {
    await whileLocked('meta', database, async () => {
      expect((await server.request(undefined, 'ready')).statusCode).toBe(503);
    });
    // Not when the database itself had enough of it.
    const failed = server.logged.find(({ msg }) => msg === 'failed');
    expect(failed).toMatchObject({ err: { message: expect.stringContaining('no answer within 2000 ms') } });
    expect((await server.request(undefined, 'ready')).statusCode).toBe(200);
  }),
);

it('it is not while another program holds the lock of writers', () =>
  withServer(async (server, database) => {
    const notReady = async (): Promise<void> => {
      expect((await server.request(undefined, 'ready')).statusCode).toBe(503);
      expect((await server.request(undefined, 'health')).statusCode).toBe(200);
    };
    if (onPostgres)
      await asSuperuser(async (client) => {
        await client.query(`BEGIN; SELECT pg_advisory_xact_lock(${WRITER})`);
        await notReady();
        await client.query('ROLLBACK');
      }, database);
    else {
      const file = (await sqliteDriver()).open(databaseFile(server.folder), { busyMs: 5000 });
      file.exec('BEGIN IMMEDIATE');
      await notReady();
      file.exec('ROLLBACK');
      file.close();
    }
    expect((await server.request(undefined, 'ready')).statusCode).toBe(200);
  }));

it.skipIf(!onPostgres)('it is where requests cannot be counted', () =>
  withServer(async (server, database) => {
    await whileLocked('rate_counts', database, async () => {
      for (const name of ['ready', 'health'] as const) expect((await server.request(undefined, name)).statusCode).toBe(200);
    });
    expect(server.lines.join('\n')).not.toContain('does not count requests');
  }),
);
