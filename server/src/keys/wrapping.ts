/** What the server keeps is wrapped to its current key, also while that key is being replaced. */
import { type DeviceKey, ModelGuardError } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Connection, Context } from '../context.js';
import type { Schema } from '../database/schema.js';

/** A key is replaced at most once while something is wrapped. */
const ATTEMPTS = 5;

/**
 * The key of that name. Where another process on the same database has made it, the keyring takes it up now; undefined if that fails,
 * which is for the log alone.
 */
export async function findKey(
  { db, keys, log }: Pick<Context, 'db' | 'keys' | 'log'>,
  name: string,
): Promise<DeviceKey | undefined> {
  const known = keys.find(name);
  if (known) return known;
  try {
    await keys.reload(db);
  } catch (err) {
    log.error({ err }, 'the keys are not read anew');
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

/** @throws INTERNAL where the key that the database calls the current one is not here: an older copy may name one that is destroyed. */
export async function demandCurrentKey(context: Context): Promise<void> {
  const name = await currentKey(context.db);
  if (!(await findKey(context, name)))
    throw new ModelGuardError('INTERNAL', `The encryption key ${name}, which the database names, is not here`, {
      advice: 'Restore the key files that belong to this database.',
    });
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
    const opened = await findKey(context, key);
    if (opened) found.push(opened);
  }
  return found;
}

/**
 * Wraps to the current key, then stores in one transaction what was wrapped. Where the key was replaced between the two, it is
 * wrapped again: a rotation never misses what lands meanwhile.
 */
export async function storeWrapped<Wrapped, Result>(
  context: Context,
  wrap: (to: DeviceKey, name: string) => Promise<Wrapped>,
  store: (trx: Transaction<Schema>, wrapped: Wrapped, name: string) => Promise<Result>,
): Promise<Result> {
  const { db } = context;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const name = await currentKey(db);
    const to = await findKey(context, name);
    if (!to) continue;
    const wrapped = await wrap(to, name);
    const stored = await db
      .transaction()
      .execute(async (trx) => ((await currentKey(trx)) === name ? { result: await store(trx, wrapped, name) } : undefined));
    if (stored) return stored.result;
  }
  throw new ModelGuardError('INTERNAL', 'The current key of this server is not there, or was replaced again and again');
}
