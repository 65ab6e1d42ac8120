/**
 * Replicas that go on while the database behind them becomes another one, or while one of them has a wrong clock. If these fail, a replica
 * believes its memory more than its database: clients are handed tokens and statements that they cannot trust.
 */
import { join } from 'node:path';
import { guardServer } from '@org/model-guard';
import { Client } from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { seeded } from '../../../test/support/seed.js';
import { asSuperuser } from '../support/database.js';
import { ask, makeReplicas, type Replica, type Replicas } from '../support/replicas.js';
import { builtCommand, freePort, ServerProcess } from '../support/server-process.js';

const PASSWORD = 'a long phrase, never guessed';
const EMAIL = 'admin@localhost';
/** A wall clock two days ahead, in a process of Node. */
const AHEAD = encodeURIComponent(
  'const Real=Date,ahead=172800000;globalThis.Date=class extends Real{constructor(...of){super(...(of.length?of:[Real.now()+ahead]))}static now(){return Real.now()+ahead}}',
);

const random = seeded('replaced-database');
let built: Awaited<ReturnType<typeof builtCommand>>;
let replicas: Replicas;
let a: Replica;
let b: Replica;
/** The first signing key. */
let serverKey: string;
let password: string;
let states = 0;

beforeEach(async () => {
  built = await builtCommand();
  replicas = await makeReplicas(built.command, random, {}, 2);
  [a, b] = replicas.all as [Replica, Replica];
  const [said] = await replicas.start();
  serverKey = said?.signing_key ?? '';
  password = replicas.firstPassword();
  await asked(a, (guard) => guard.account.changePassword(password, PASSWORD));
  password = PASSWORD;
});
afterEach(async () => {
  await replicas?.remove();
  await built?.remove();
});

/** Runs a task with a replica, as a client that pinned the first key and remembers nothing. */
async function asked<Result>(
  { url }: Pick<Replica, 'url'>,
  task: (guard: ReturnType<typeof guardServer>) => Promise<Result>,
): Promise<Result> {
  const state = join(replicas.folder, `state-${states++}`);
  const guard = guardServer({ url, serverKey, credentials: () => ({ email: EMAIL, password }), state });
  try {
    return await task(guard);
  } finally {
    guard.close();
  }
}
const works = (replica: Pick<Replica, 'url'>) => asked(replica, async (guard) => (await guard.account.get()).email);
const signingKeys = (replica: Replica) => asked(replica, async (guard) => (await guard.server()).signingKeys);
async function query(text: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: replicas.database });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}
const keys = async (): Promise<unknown[]> => (await query('select kid from token_keys order by kid')).map(({ kid }) => kid);

it('a replica whose clock is two days ahead takes nothing from other replicas, and works itself', async () => {
  await Promise.all([works(a), works(b)]);
  const before = await keys();
  expect(before).toHaveLength(2);
  await query(
    "insert into challenges (challenge, purpose, account, expires) select 'open', 'lease-request', id, extract(epoch from now())::bigint + 3600 from users limit 1",
  );
  const port = await freePort(random);
  const wrong = new ServerProcess(built.command, ['--data', join(replicas.folder, 'data'), '--port', `${port}`], {
    DATABASE_URL: replicas.database,
    NODE_OPTIONS: `--import=data:text/javascript,${AHEAD}`,
  });
  try {
    await wrong.start();
    const c = { url: `http://127.0.0.1:${port}` };
    expect(await works(c)).toBe(EMAIL);
    expect(await keys()).toEqual(expect.arrayContaining(before));
    expect(await query("select challenge from challenges where challenge = 'open'")).toHaveLength(1);
    expect(wrong.output.some((line) => line.includes('"ahead_seconds":172800'))).toBe(true);
  } finally {
    await wrong.kill();
  }
  for (const replica of [a, b]) expect(await works(replica)).toBe(EMAIL);
});

it('a restored dump without their keys is no loss for replicas that run', async () => {
  await Promise.all([works(a), works(b)]);
  await query('delete from token_keys');
  for (const replica of [a, b]) expect(await works(replica)).toBe(EMAIL);
  expect(await keys()).toHaveLength(2);
});

it('a fail-over to an older copy is signed for by the key that the copy names', async () => {
  const name = new URL(replicas.database).pathname.slice(1);
  const owner = new URL(replicas.database).username;
  /** Ends all connections to the database; the servers connect again. */
  const alone = (task: (client: Client) => Promise<unknown>) =>
    asSuperuser(async (client) => {
      await client.query(`alter database ${name} allow_connections false`);
      await client.query(`select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${name}'`);
      await task(client);
    });
  await alone(async (client) => {
    await client.query(`create database ${name}_old template ${name} owner ${owner}`);
    await client.query(`alter database ${name} allow_connections true`);
  });
  const { key } = await asked(a, (guard) => guard.keys.rotateSigning());
  expect(await signingKeys(b)).toEqual([serverKey, key]);
  try {
    await alone(async (client) => {
      await client.query(`alter database ${name} rename to ${name}_new`);
      await client.query(`alter database ${name}_old rename to ${name}`);
    });
    for (const replica of [a, b]) {
      expect(await signingKeys(replica)).toEqual([serverKey]);
      expect((await ask(replica, undefined, 'ready')).status).toBe(200);
    }
  } finally {
    await asSuperuser((client) => client.query(`drop database if exists ${name}_new with (force)`));
  }
});
