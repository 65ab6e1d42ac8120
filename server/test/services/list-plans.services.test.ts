/**
 * Every list with every combination of its filters, as PostgreSQL plans it over many rows. If these fail, one question reads a whole table.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { print } from '../../../test/support/print.js';
import { scaled } from '../../../test/support/sample.js';
import { fillLists, LISTS, planOf, statementsOf } from '../support/list-plans.js';
import { startTestServer, type TestServer } from '../support/server.js';

/** With fewer rows PostgreSQL is right to read a table whole. */
const ROWS = scaled(200_000, 50_000);

const asked = new Map<string, Awaited<ReturnType<typeof statementsOf>>>();
let server: TestServer;
beforeAll(async () => {
  server = await startTestServer({ postgres: true });
  for (const list of LISTS) asked.set(list[0], await statementsOf(server, list));
  await fillLists(server.context.db, ROWS, true);
});
afterAll(() => server.close());

it.each(LISTS)('%s reads no table whole, whatever the filters', async (route, tables) => {
  const reads = new Set<string>();
  for (const query of asked.get(route) ?? []) {
    const plan = await planOf(server.context.db, query, true);
    for (const step of plan) if (step.includes(' Scan ')) reads.add(step.replace(/ +\(cost.*/, '').trim());
    const scans = plan.filter((step) => tables.some((table) => step.includes(`Seq Scan on ${table}`)));
    expect(scans, query.sql).toEqual([]);
  }
  print(`${route}: ${[...reads].join('; ')}`);
});
