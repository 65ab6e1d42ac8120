/** What the server keeps is wrapped to its current key, also while that key is being replaced. */
import { setTimeout as delay } from 'node:timers/promises';
import { type DeviceKey, ModelGuardError } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Connection, Context } from '../context.js';
import type { Schema } from '../database/schema.js';

/** A key is replaced at most once while something is wrapped, and the keyring takes it up within moments. */
const ATTEMPTS = 40;
const MOMENT_MS = 25;

async function currentKey(connection: Connection): Promise<string> {
  const { key } = await connection
    .selectFrom('encryption_keys')
    .select('key')
    .where('state', '=', 'current')
    .executeTakeFirstOrThrow();
  return key;
}

/** The keys that publishers may have encrypted to: the current one, and retiring ones until their date. */
export async function acceptedKeys({ db, keys, now }: Context): Promise<readonly DeviceKey[]> {
  const rows = await db
    .selectFrom('encryption_keys')
    .select('key')
    .where((eb) => eb.or([eb('state', '=', 'current'), eb.and([eb('state', '=', 'retiring'), eb('until', '>', now())])]))
    .execute();
  return rows.flatMap(({ key }) => keys.find(key) ?? []);
}

/**
 * Wraps to the current key, then stores in one transaction what was wrapped. Where the key was replaced between the two, it is
 * wrapped again: a rotation never misses what lands meanwhile.
 */
export async function storeWrapped<Wrapped, Result>(
  { db, keys }: Context,
  wrap: (to: DeviceKey, name: string) => Promise<Wrapped>,
  store: (trx: Transaction<Schema>, wrapped: Wrapped, name: string) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const name = await currentKey(db);
    const to = keys.find(name);
    if (!to) {
      await delay(MOMENT_MS);
      continue;
    }
    const wrapped = await wrap(to, name);
    const stored = await db
      .transaction()
      .execute(async (trx) => ((await currentKey(trx)) === name ? { result: await store(trx, wrapped, name) } : undefined));
    if (stored) return stored.result;
  }
  throw new ModelGuardError('INTERNAL', 'The key of this server was replaced again and again');
}
