/**
 * Tables that are rewritten after deletions on PostgreSQL. If these fail, the whole service waits while large tables are written.
 */
import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noteDeletion, scrub } from '../../src/database/scrub.js';
import { asSuperuser, onPostgres } from '../support/database.js';
import { startTestServer, type TestServer } from '../support/server.js';

const SMALL = ['subjects', 'users', 'login_failures', 'login_turns', 'known_networks'] as const;
const LARGE = ['versions', 'archives'] as const;

describe.skipIf(!onPostgres)('scrubbing (only where tests run on PostgreSQL)', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startTestServer();
  });
  afterEach(() => server.close());

  const inside = <Result>(task: (client: pg.Client) => Promise<Result>): Promise<Result> =>
    asSuperuser(task, new URL(server.config.databaseUrl ?? '').pathname);
  /** Changes where a table is written anew. */
  const filesOf = (tables: readonly string[]): Promise<string[]> =>
    inside(async (client) => {
      const question = 'SELECT pg_relation_filenode(name::regclass) AS file FROM unnest($1::text[]) AS name';
      return (await client.query(question, [tables])).rows.map(({ file }) => String(file));
    });
  const note = (from: Parameters<typeof noteDeletion>[1]): Promise<string> =>
    server.context.db.transaction().execute((trx) => noteDeletion(trx, from));
  const notes = async (): Promise<string[]> =>
    (await server.context.db.selectFrom('meta').select('key').where('key', 'like', '%scrubbing%').execute()).map(
      ({ key }) => key,
    );

  it('after a rotation writes no table anew, nor does the cleanup after one that was killed', async () => {
    const before = await filesOf([...SMALL, ...LARGE]);
    await scrub(server.context, { note: await note(LARGE), gone: [] });
    expect(await notes()).toEqual([]);
    await note(LARGE);
    await server.context.cleanup.run();
    expect(await notes()).toEqual([]);
    expect(await filesOf([...SMALL, ...LARGE])).toEqual(before);
  });

  it('after a rotation waits for no reader or writer, and delays none', async () => {
    await inside(async (client) => {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
      await client.query('LOCK TABLE versions, archives IN ROW EXCLUSIVE MODE');
      await scrub(server.context, { note: await note(LARGE), gone: [] });
    });
    expect(await notes()).toEqual([]);
  });

  it('of one deletion leaves other noted deletions to the cleanup', async () => {
    const [small, large] = [await filesOf(SMALL), await filesOf(LARGE)];
    const others = [await note(['users']), await note(LARGE)].sort();
    await scrub(server.context, { note: await note(['subjects']), gone: [randomBytes(16)] });
    expect((await notes()).sort()).toEqual(others);
    const [subjects, ...rest] = await filesOf(SMALL);
    expect(subjects).not.toBe(small[0]);
    expect(rest).toEqual(small.slice(1));
    await server.context.cleanup.run();
    expect(await notes()).toEqual([]);
    expect((await filesOf(SMALL))[1]).not.toBe(small[1]);
    expect(await filesOf(LARGE)).toEqual(large);
  });

  it('is done by the cleanup though another task fails', async () => {
    await note(['users']);
    await inside((client) => client.query('DROP TABLE rate_counts'));
    await expect(server.context.cleanup.run()).rejects.toThrow('rate_counts');
    expect(await notes()).toEqual([]);
  });
});
