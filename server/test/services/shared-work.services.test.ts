/** State that replicas share through PostgreSQL: counts of requests, and tasks that one of them does. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SharedCounts } from '../../src/http/shared-counts.js';
import { TaskLease } from '../../src/keys/task-lease.js';
import { configure } from '../../src/start/config.js';
import { makeLog } from '../../src/start/log.js';
import { type OpenServer, openServer } from '../../src/start/server.js';
import { postgresDatabase } from '../support/database.js';

let folder: string;
let database: Awaited<ReturnType<typeof postgresDatabase>>;
let server: OpenServer;
const logged: string[] = [];
const clock = { now: 2_000_000_000 };

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'guard-shared-'));
  database = await postgresDatabase(true);
  const config = configure({ data: folder, databaseUrl: database.url, port: 0, logLevel: 'warn' }, {});
  logged.length = 0;
  const log = makeLog(config, { write: (line: string) => void logged.push(line) });
  server = await openServer(config, { log, now: () => clock.now });
});
afterEach(async () => {
  await server.close();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

describe('a count', () => {
  it('is shared by all processes, for one limit and one address, and restarts with each window', async () => {
    const [one, other] = [new SharedCounts(server.context, 60), new SharedCounts(server.context, 60)];
    expect(await one.add('login', '192.0.2.1')).toEqual({ count: 1, seconds: 60 });
    expect(await other.add('login', '192.0.2.1')).toMatchObject({ count: 2 });
    expect(await other.add('login', '192.0.2.2')).toMatchObject({ count: 1 });
    expect(await other.add('address', '192.0.2.1')).toMatchObject({ count: 1 });
    await server.context.db.updateTable('rate_counts').set({ window_end: 1 }).execute();
    expect(await one.add('login', '192.0.2.1')).toEqual({ count: 1, seconds: 60 });
  });

  it('of many at once misses none, and takes few statements', async () => {
    let statements = 0;
    const db = server.context.db.withPlugin({
      transformQuery: ({ node }) => {
        statements++;
        return node;
      },
      transformResult: async ({ result }) => result,
    });
    const counts = new SharedCounts({ ...server.context, db }, 60);
    const all = await Promise.all(Array.from({ length: 100 }, () => counts.add('login', 'x')));
    expect(all.map((counted) => counted?.count ?? 0).sort((one, other) => one - other)).toEqual(
      Array.from({ length: 100 }, (_, n) => n + 1),
    );
    expect(statements).toBeLessThanOrEqual(2);
  });

  it('waits for no writer', async () => {
    const counts = new SharedCounts(server.context, 60);
    const counted = await server.context.db.transaction().execute(() => counts.add('login', 'x'));
    expect(counted).toMatchObject({ count: 1 });
  });

  it('is forgotten by the next counts, once in a window', async () => {
    const counts = new SharedCounts(server.context, 0);
    for (const who of ['a', 'b', 'c']) await counts.add('login', who);
    // Statements run in order, so after the last of these the deletion before it is done, too.
    await counts.add('login', 'd');
    await counts.add('login', 'e');
    const { length } = await server.context.db.selectFrom('rate_counts').select('key').execute();
    expect(length).toBeLessThanOrEqual(2);
  });

  it('is deleted by the cleanup when its window is over, not before', async () => {
    const counts = new SharedCounts(server.context, 60);
    await counts.add('login', 'old');
    await server.context.db.updateTable('rate_counts').set({ window_end: 1 }).execute();
    await counts.add('login', 'new');
    // More than are forgotten by one statement.
    const many = sql`insert into rate_counts select n::text, 1, 1 from generate_series(1, 10001) as n`;
    await many.execute(server.context.db);
    await server.context.cleanup.run();
    expect(await server.context.db.selectFrom('rate_counts').select('count').execute()).toHaveLength(1);
  });

  it('is done without while the database does not answer: one warning, and not asked again at once', async () => {
    const counts = new SharedCounts(server.context, 60);
    await server.context.db.schema.dropTable('rate_counts').execute();
    const warnings = (): number => logged.filter((line) => line.includes('does not count requests')).length;
    const all = await Promise.all([counts.add('login', 'x'), counts.add('login', 'x')]);
    expect([...all, await counts.add('login', 'x')]).toEqual([undefined, undefined, undefined]);
    expect(warnings()).toBe(1);
    expect(logged.join()).not.toContain('"x"');
  });
});

describe('work', () => {
  it('is one process’s until it is released, or half a minute after that was heard of last', async () => {
    const [one, other] = [new TaskLease(server.context, 'rotation:1'), new TaskLease(server.context, 'rotation:1')];
    expect(await one.hold()).toBe(true);
    expect(await other.hold()).toBe(false);
    expect(await new TaskLease(server.context, 'rotation:2').hold()).toBe(true);
    await one.release();
    expect(await other.hold()).toBe(true);
    clock.now += 29;
    expect(await one.hold()).toBe(false);
    expect(await other.hold()).toBe(true);
    clock.now += 29;
    expect(await one.hold()).toBe(false);
    clock.now += 1;
    expect(await one.hold()).toBe(true);
    expect(await other.hold()).toBe(false);
  });

  it('that was claimed by a process that is gone is forgotten', async () => {
    await new TaskLease(server.context, 'rotation:1').hold();
    clock.now += 31;
    await server.context.cleanup.run();
    expect(await server.context.db.selectFrom('claims').select('task').execute()).toEqual([]);
  });
});
