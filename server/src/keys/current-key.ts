/** Finds the current encryption key and wraps to it, also while it is being replaced. */
import { type DeviceKey, ModelGuardError } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import type { Schema } from '../database/schema.js';
import { DatabaseUnavailable } from '../database/unavailable.js';

/** Attempts to wrap and store. Each fails only if the key is replaced during it. */
const ATTEMPTS = 5;

/**
 * The key of that name. Loads keys that another process on the same database has made. A failure to load is logged, and the result is
 * undefined.
 * @throws DatabaseUnavailable
 */
export async function findEncryptionKey(
  { db, keys, log }: Pick<Context, 'db' | 'keys' | 'log'>,
  name: string,
): Promise<DeviceKey | undefined> {
  const known = keys.find(name);
  if (known) return known;
  try {
    await keys.reload(db);
  } catch (err) {
    if (err instanceof DatabaseUnavailable) throw err;
    log.error({ err }, 'could not reload the keys');
  }
  return keys.find(name);
}

async function currentKey(connection: Connection): Promise<string> {
  const { key } = await connection
    .selectFrom('encryption_keys')
    .select('key')
    .where('state', '=', 'current')
    .executeTakeFirstOrThrow();
  return key;
}

/**
 * The key that small parts and fragments are wrapped to now.
 * @throws NOT_FOUND where its file is missing: an older copy of the database may name one that was destroyed
 */
export async function findCurrentKey(context: Pick<Context, 'db' | 'keys' | 'log'>): Promise<DeviceKey> {
  const name = await currentKey(context.db);
  const key = await findEncryptionKey(context, name);
  if (!key) throw context.keys.missing(name);
  return key;
}

/** The keys that publishers may have encrypted to: the current one, and retiring ones until their date. */
export async function acceptedKeys(context: Context): Promise<readonly DeviceKey[]> {
  const { db, now } = context;
  const rows = await db
    .selectFrom('encryption_keys')
    .select('key')
    .where((eb) => eb.or([eb('state', '=', 'current'), eb.and([eb('state', '=', 'retiring'), eb('until', '>', now())])]))
    .execute();
  const found: DeviceKey[] = [];
  for (const { key } of rows) {
    const opened = await findEncryptionKey(context, key);
    if (opened) found.push(opened);
  }
  return found;
}

/**
 * Wraps to the current key, then stores the result in one transaction. Where the key was replaced in between, wraps again, so
 * that a rotation never misses new data.
 */
export async function storeWrapped<Wrapped, Result>(
  context: Context,
  wrap: (to: DeviceKey, name: string) => Promise<Wrapped>,
  store: (trx: Transaction<Schema>, wrapped: Wrapped, name: string) => Promise<Result>,
): Promise<Result> {
  const { db, keys } = context;
  let missing: string | undefined;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const name = await currentKey(db);
    const to = await findEncryptionKey(context, name);
    missing = to ? undefined : name;
    if (!to) continue;
    const wrapped = await wrap(to, name);
    const stored = await db
      .transaction()
      .execute(async (trx) => ((await currentKey(trx)) === name ? { result: await store(trx, wrapped, name) } : undefined));
    if (stored) return stored.result;
  }
  if (missing !== undefined) throw keys.missing(missing);
  throw new ModelGuardError('INTERNAL', 'The current encryption key was replaced during each attempt to store');
}
