/**
 * Every list with every combination of its filters, as SQLite plans it: no table is read from end to end. If these fail, one
 * query costs as much as there are rows.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { onPostgres } from '../support/database.js';
import { LISTS, listRoutes, planOf, statementsOf } from '../support/list-plans.js';
import { startTestServer, type TestServer } from '../support/server.js';

it('every list of the contract is looked at', () => {
  expect(LISTS.map(([route]) => route).sort()).toEqual([...listRoutes()].sort());
});

describe.skipIf(onPostgres)('the plan of', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.close());

  it.each(LISTS)('%s walks an index, whatever the filters', async (...list) => {
    const [, tables] = list;
    for (const query of await statementsOf(server, list)) {
      const plan = await planOf(server.context.db, query, false);
      const scans = plan.filter((step) => tables.some((table) => step.startsWith(`SCAN ${table}`)));
      // A range of time is read from its index, and put into the order of the log: the clock may have been set back.
      const sorted = query.sql.includes('"time" >=') || query.sql.includes('"time" <=');
      const sorts = sorted ? [] : plan.filter((step) => step.includes('TEMP B-TREE'));
      // Without a condition only the last row is asked for: the first step of a walk.
      if (query.sql.includes(' where ')) expect([...scans, ...sorts], query.sql).toEqual([]);
      // Those that ended are many more. A device has few.
      if (query.sql.includes('"superseded" is null') && !query.sql.includes('"device" ='))
        expect(plan.join(), query.sql).toContain('leases_active');
    }
  });
});
