/** What a balancer is told. If these fail, it sends requests to replicas that can do nothing, or takes away those that can. */
import { expect, it } from 'vitest';
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
/** Runs `task` while nobody else reads or writes the table. */
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

it.skipIf(!onPostgres)('it is where requests cannot be counted', () =>
  withServer(async (server, database) => {
    await whileLocked('rate_counts', database, async () => {
      for (const name of ['ready', 'health'] as const) expect((await server.request(undefined, name)).statusCode).toBe(200);
    });
    expect(server.lines.join('\n')).not.toContain('does not count requests');
  }),
);
