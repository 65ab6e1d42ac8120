/**
 * Every list with every combination of its filters, over a million rows of each kind: SQLite's plans, and how long each statement takes. If
 * this fails, one question holds up all others for as long as it takes to read a table.
 */
import { expect, it } from 'vitest';
import { print } from '../../../test/support/print.js';
import { scaled } from '../../../test/support/sample.js';
import { fillLists, LISTS, planOf, statementsOf } from '../support/list-plans.js';
import { startTestServer } from '../support/server.js';

const ROWS = scaled(1_000_000, 10_000);

it('no list reads a table from end to end', async () => {
  const server = await startTestServer();
  try {
    const asked = [];
    for (const list of LISTS) asked.push({ list, statements: await statementsOf(server, list) });
    const { db } = server.context;
    await fillLists(db, ROWS, false);
    for (const { list, statements } of asked) {
      const [route, tables] = list;
      let slowest = 0;
      const plans = new Map<string, number>();
      for (const query of statements) {
        const steps = await planOf(db, query, false);
        const began = performance.now();
        await db.executeQuery(query);
        const took = performance.now() - began;
        slowest = Math.max(slowest, took);
        const plan = steps.join('; ');
        plans.set(plan, Math.max(plans.get(plan) ?? 0, took));
        const scans = steps.filter((step) => tables.some((table) => step.startsWith(`SCAN ${table}`)));
        if (query.sql.includes(' where ')) expect(scans, query.sql).toEqual([]);
      }
      print(`${route}: ${statements.length} statements over ${ROWS} rows, the slowest took ${slowest.toFixed(1)} ms`);
      for (const [plan, took] of plans) print(`  ${took.toFixed(1)} ms  ${plan}`);
    }
  } finally {
    await server.close();
  }
}, 1_800_000);
