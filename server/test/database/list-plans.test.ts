/**
 * Every list with every combination of its filters, as SQLite plans it: no table is read from end to end. If these
 * fail, one question costs as much as there are rows.
 */
import type { RouteName } from '@org/model-guard/server-kit';
import Sqlite from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { databaseFile } from '../../src/database/sqlite/file.js';
import { onPostgres } from '../support/database.js';
import { startTestServer, type TestServer } from '../support/server.js';

const ID = 'ab'.repeat(16);
/** Of each list its table, and a value for each filter. */
const LISTS: readonly (readonly [RouteName, string, Readonly<Record<string, string>>])[] = [
  ['listUsers', 'users', { cursor: `${ID}.1` }],
  ['listDevices', 'devices', { cursor: `${ID}.1`, state: 'approved', account: ID }],
  ['listEntitlements', 'entitlements', { cursor: `${ID}.1`, account: ID, name: 'net' }],
  ['listVersions', 'versions', { cursor: 'net.1', name: 'net', version: '1', state: 'released' }],
  ['listLeases', 'leases', { cursor: `${ID}.1`, device: ID, name: 'net', active: 'true' }],
  ['listArchives', 'archives', { cursor: 'net' }],
  [
    'auditEvents',
    'audit',
    { cursor: '9', action: 'auth', outcome: 'denied', account: ID, resource: 'model:net@1', since: '1', until: '2' },
  ],
];

const combinations = (filters: Readonly<Record<string, string>>): readonly Record<string, string>[] =>
  Object.entries(filters).reduce<Record<string, string>[]>(
    (all, [name, value]) =>
      // A version is asked for together with its name.
      all.flatMap((some) => (name === 'version' && !some.name ? [some] : [some, { ...some, [name]: value }])),
    [{}],
  );

describe.skipIf(onPostgres)('the plan of', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.close());

  it.each(LISTS)('%s walks an index, whatever the filters', async (route, table, filters) => {
    const asked = new Set<string>();
    const { prepare } = Sqlite.prototype;
    const spy = vi.spyOn(Sqlite.prototype, 'prepare').mockImplementation(function (this: Sqlite.Database, sql: string) {
      asked.add(sql);
      return prepare.call(this, sql);
    } as typeof prepare);
    // Of an account that is there, so that its subject is looked for too.
    const account = filters.account === undefined ? {} : { account: server.accounts.operator.id };
    try {
      for (const query of combinations({ ...filters, ...account }))
        expect((await server.request('apiAdmin', route, { query } as never)).statusCode, JSON.stringify(query)).toBe(200);
      const own = await server.request('operator', route, { query: {} } as never);
      expect([200, 403]).toContain(own.statusCode);
    } finally {
      spy.mockRestore();
    }
    const lists = [...asked].filter((sql) => sql.startsWith('select') && sql.includes(`from "${table}"`));
    expect(lists.length, 'no statement of the list was seen').toBeGreaterThan(0);
    const file = new Sqlite(databaseFile(server.folder), { readonly: true });
    try {
      for (const sql of lists) {
        const holes = Array.from({ length: sql.split('?').length - 1 }, () => null);
        const plan = (file.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...holes) as { detail: string }[]).map(
          ({ detail }) => detail,
        );
        // A range of time is read from its index, and put into the order of the log: the clock may have been set back.
        const sorted = sql.includes('"time" >=') || sql.includes('"time" <=');
        const bad = plan.filter((step) => step.startsWith(`SCAN ${table}`) || (step.includes('TEMP B-TREE') && !sorted));
        // Without a condition only the last row is asked for: the first step of a walk.
        if (sql.includes(' where ')) expect(bad, sql).toEqual([]);
      }
    } finally {
      file.close();
    }
  });
});
