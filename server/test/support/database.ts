/**
 * Makes the database of a test: SQLite, or PostgreSQL with MG_TEST_DATABASE=postgres and a superuser's URL in MG_TEST_POSTGRES.
 */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import pg from 'pg';
import { openDatabase } from '../../src/database/open.js';

export const onPostgres = process.env.MG_TEST_DATABASE === 'postgres';

/** A database of one test. */
export interface TestDatabase {
  /** Undefined: the file in the data folder. */
  readonly url: string | undefined;
  /** Its password. */
  readonly password: string | undefined;
  drop(): Promise<void>;
}

/** An empty one with its tables; servers of tests start faster from it. */
export async function makeDatabase(): Promise<TestDatabase> {
  return onPostgres ? await postgresDatabase(true) : { url: undefined, password: undefined, drop: async () => undefined };
}

/** One of PostgreSQL, whatever tests run on; `migrated`: with its tables. */
export async function postgresDatabase(migrated: boolean): Promise<TestDatabase & { readonly url: string }> {
  const { role, password } = await owner();
  const name = `guard_${randomBytes(8).toString('hex')}`;
  const template = migrated ? ` TEMPLATE ${await migratedTemplate()}` : '';
  await asSuperuser((client) => client.query(`CREATE DATABASE ${name} OWNER ${role}${template}`));
  return {
    url: await urlOf(name),
    password,
    drop: () => asSuperuser(async (client) => void (await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`))),
  };
}

/** The files of the database of a URL, after everything was written to them. */
export async function filesOfDatabase(url: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  await asSuperuser(async (client) => {
    await client.query('CHECKPOINT');
    const { rows } = await client.query(
      `SELECT folder || '/' || name AS file, pg_read_binary_file(folder || '/' || name, 0, 1000000000, true) AS bytes
       FROM (SELECT 'base/' || oid AS folder FROM pg_database WHERE datname = current_database()) AS here,
       pg_ls_dir(folder) AS name`,
    );
    for (const { file, bytes } of rows) if (bytes !== null) files.set(file, bytes);
  }, new URL(url).pathname);
  return files;
}

/** Runs `task` as the superuser, in the database `pathname` or the one of MG_TEST_POSTGRES. */
export async function asSuperuser<Result>(task: (client: pg.Client) => Promise<Result>, pathname?: string): Promise<Result> {
  const url = superuserUrl();
  if (pathname !== undefined) url.pathname = pathname;
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  try {
    return await task(client);
  } finally {
    await client.end();
  }
}

function superuserUrl(): URL {
  const { MG_TEST_POSTGRES } = process.env;
  if (MG_TEST_POSTGRES === undefined) throw new Error('MG_TEST_POSTGRES is missing: run this within scripts/services.mjs');
  return new URL(MG_TEST_POSTGRES);
}

interface Owner {
  readonly role: string;
  readonly password: string;
}
let made: Promise<Owner> | undefined;
/** A role without special rights, as in production; one for all databases of this worker. */
const owner = (): Promise<Owner> => {
  made ??= asSuperuser(async (client) => {
    const who = { role: `guard_${randomBytes(8).toString('hex')}`, password: randomBytes(16).toString('hex') };
    await client.query(`CREATE ROLE ${who.role} LOGIN PASSWORD '${who.password}'`);
    return who;
  });
  return made;
};

async function urlOf(database: string): Promise<string> {
  const { role, password } = await owner();
  const url = superuserUrl();
  [url.username, url.password, url.pathname] = [role, password, database];
  return url.href;
}

let template: Promise<string> | undefined;
const migratedTemplate = (): Promise<string> => {
  template ??= (async () => {
    const { role } = await owner();
    const name = `guard_template_${randomBytes(8).toString('hex')}`;
    await asSuperuser((client) => client.query(`CREATE DATABASE ${name} OWNER ${role}`));
    const folder = `${tmpdir()}/${name}`;
    await (await openDatabase({ dataFolder: folder, databaseUrl: await urlOf(name) })).destroy();
    await rm(folder, { recursive: true });
    return name;
  })();
  return template;
};
