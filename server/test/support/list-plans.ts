/** Every list with every combination of its filters: its statements, and the database's plans for them. */
import { type RouteName, routes } from '@org/model-guard/server-kit';
import { CompiledQuery, DefaultQueryExecutor, sql } from 'kysely';
import { expect, vi } from 'vitest';
import type { Database } from '../../src/database/connection.js';
import type { TestServer } from './server.js';

const ID = 'ab'.repeat(16);
type Filters = Readonly<Record<string, readonly string[]>>;
/** Of each list its tables, and values for each filter. */
export const LISTS: readonly (readonly [RouteName, readonly string[], Filters])[] = [
  ['listUsers', ['users'], { cursor: [`${ID}.1`] }],
  ['listDevices', ['devices'], { cursor: [`${ID}.1`], state: ['approved'], account: [ID] }],
  ['listEntitlements', ['entitlements'], { cursor: [`${ID}.1`], account: [ID], name: ['net'] }],
  ['listVersions', ['versions'], { cursor: ['net.1'], name: ['net'], version: ['1'], state: ['released'] }],
  ['listLeases', ['leases'], { cursor: [`${ID}.1`], device: [ID], name: ['net'], active: ['true', 'false'] }],
  ['listArchives', ['archives'], { cursor: ['net'] }],
  [
    'auditEvents',
    ['audit'],
    {
      cursor: ['9'],
      action: ['auth'],
      outcome: ['denied'],
      account: [ID],
      resource: ['model:net@1'],
      since: ['1'],
      until: ['2'],
    },
  ],
  [
    'exportOwnData',
    ['devices', 'entitlements', 'leases', 'audit'],
    { cursor: [`devices.${ID}.1`, `entitlements.${ID}.1`, `leases.${ID}.1`, 'events.9.1'] },
  ],
];
/** Lists of the contract, by their cursors; an account's export has two routes and one implementation. */
export const listRoutes = (): readonly string[] =>
  Object.entries(routes)
    .filter(([name, route]) => 'query' in route && 'cursor' in route.query.shape && name !== 'exportUserData')
    .map(([name]) => name);

const combinations = (filters: Filters): readonly Record<string, string>[] =>
  Object.entries(filters).reduce<Record<string, string>[]>(
    (all, [name, values]) =>
      // A version is asked for together with its name.
      all.flatMap((some) => [
        some,
        ...(name === 'version' && !some.name ? [] : values.map((value) => ({ ...some, [name]: value }))),
      ]),
    [{}],
  );

/** The statements that read the tables of a list while it is asked with every combination of its filters. */
export async function statementsOf(
  server: TestServer,
  [route, tables, filters]: (typeof LISTS)[number],
): Promise<readonly CompiledQuery[]> {
  const asked = new Map<string, CompiledQuery>();
  const base = Object.getPrototypeOf(DefaultQueryExecutor.prototype) as DefaultQueryExecutor;
  const { executeQuery } = base;
  const spy = vi.spyOn(base, 'executeQuery').mockImplementation(function (this: DefaultQueryExecutor, query) {
    asked.set(query.sql, query);
    return executeQuery.call(this, query) as never;
  });
  // Of an account that is there, so that its subject is looked for too.
  const account = filters.account === undefined ? {} : { account: [server.accounts.operator.id] };
  try {
    for (const query of combinations({ ...filters, ...account }))
      expect((await server.request('apiAdmin', route, { query } as never)).statusCode, JSON.stringify(query)).toBe(200);
    const own = await server.request('operator', route, { query: {} } as never);
    expect([200, 403]).toContain(own.statusCode);
  } finally {
    spy.mockRestore();
  }
  const lists = [...asked.values()].filter(
    (query) => query.sql.startsWith('select') && tables.some((table) => query.sql.includes(`from "${table}"`)),
  );
  expect(lists.length, 'no statement of the list was seen').toBeGreaterThan(0);
  return lists;
}

/** The steps of SQLite's plan, or of PostgreSQL's. */
export async function planOf(db: Database, query: CompiledQuery, onPostgres: boolean): Promise<readonly string[]> {
  const explain = onPostgres ? 'EXPLAIN' : 'EXPLAIN QUERY PLAN';
  const { rows } = await db.executeQuery<Record<string, unknown>>(
    CompiledQuery.raw(`${explain} ${query.sql}`, [...query.parameters]),
  );
  return rows.map((row) => String(onPostgres ? row['QUERY PLAN'] : row.detail));
}

/** So many rows in each table that lists are made from, as they lie in a server that has worked for long. */
export async function fillLists(db: Database, count: number, onPostgres: boolean): Promise<void> {
  // In slices, each well within the server's limit for an answer, on a busy machine too.
  const slice = 1_000;
  const rowsFrom = (first: number) => {
    const last = Math.min(first + slice - 1, count);
    return onPostgres
      ? sql`generate_series(${sql.lit(first)}, ${sql.lit(last)}) as n(i)`
      : sql`(with recursive n(i) as (select ${sql.lit(first)} union all select i + 1 from n where i < ${sql.lit(last)}) select i from n) as n`;
  };
  const hex = (number: string, digits: number): string =>
    onPostgres ? `lpad(to_hex(${number}), ${digits}, '0')` : `printf('%0${digits}x', ${number})`;
  const blob = (text: string): string => (onPostgres ? `convert_to(${text}, 'UTF8')` : `cast(${text} as blob)`);
  const id = hex('1000000000 + i', 32);
  const account = hex('1 + i % 1000', 32);
  const name = `'net-' || (i % 1000)`;
  const empty = blob("''");
  const fill: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    subjects: { id, wrapped: empty, kind: "'user'", created: 'i' },
    users: {
      ...{ id, subject: id, email_index: blob(id), profile: empty, password: "''", role: "'none'", created: 'i' },
      ...{ disabled: '0', must_change_password: '0', token_epoch: '0' },
    },
    devices: {
      id,
      account,
      name: empty,
      public_key: id,
      state: "case i % 9 when 0 then 'pending' else 'approved' end",
      created: 'i',
    },
    entitlements: {
      ...{ id, kind: "'model'", name, account, seats: '1', lease_seconds: '1', offline_seconds: '0', created: 'i' },
    },
    versions: {
      ...{ name, version: "'v' || i", ordinal: '1 + i / 1000', state: "case i % 9 when 0 then 'pending' else 'released' end" },
      ...{ format: "'onnx'", payload_id: id, digest: "''", small: empty, wrapped_to: "''", big_name: id, big_size: '1' },
      ...{ publisher: "''", published_by: account, created: 'i' },
    },
    leases: {
      ...{ id, entitlement: account, name, version: "'1'", device: account, account, not_before: '0', not_after: 'i' },
      ...{
        offline_until: 'i',
        revoked: '0',
        created: 'i',
        seat_until: 'case i % 99 when 0 then 4000000000 else 0 end',
        superseded: 'case i % 9 when 0 then i end',
      },
    },
    archives: {
      ...{ name: "'archive-' || i", format: "'legacy'", sha256: "''", size: '1', fragment: empty, wrapped_to: "''" },
      ...{ registered_by: account, created: 'i' },
    },
    audit: {
      ...{ seq: '1000000 + i', bytes: empty, head: blob(hex('i', 48)), time: 'i', subject: account },
      ...{ action: "case i % 9 when 0 then 'auth.login' else 'leases.take' end", resource: `'model:' || ${name}` },
      ...{ outcome: "case i % 99 when 0 then 'denied' else 'success' end", actor: `case i % 9 when 0 then ${account} end` },
    },
  };
  await db.transaction().execute(async (trx) => {
    // The server's limit for a statement is for its own statements.
    if (onPostgres) await sql`set local statement_timeout = 0`.execute(trx);
    for (const [table, columns] of Object.entries(fill)) {
      const into = sql`insert into ${sql.table(table)} (${sql.raw(Object.keys(columns).join(', '))})`;
      const values = sql.raw(Object.values(columns).join(', '));
      for (let first = 1; first <= count; first += slice)
        await sql`${into} select ${values} from ${rowsFrom(first)}`.execute(trx);
    }
    // PostgreSQL does so by itself; SQLite plans without numbers.
    if (onPostgres) await sql`analyze`.execute(trx);
  });
}
