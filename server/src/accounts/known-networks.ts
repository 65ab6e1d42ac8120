/**
 * Keeps the networks from which an account has logged in lately. Failures elsewhere do not slow log-ins from these, so that
 * guessing does not lock the owner out.
 */
import type { Transaction } from 'kysely';
import type { Connection } from '../database/connection.js';
import type { Schema } from '../database/schema.js';
import type { Attempt } from './login-attempt.js';

/** A network is forgotten this long after its last log-in. */
const REMEMBERED_SECONDS = 30 * 86_400;
/** Of one account; beyond these the least recently used network is deleted. */
const MOST_NETWORKS = 16;

export async function isKnown(connection: Connection, { index, network }: Attempt, now: number): Promise<boolean> {
  const row = await connection
    .selectFrom('known_networks')
    .select('last_used')
    .where('email_index', '=', index)
    .where('network', '=', network)
    .where('last_used', '>=', now - REMEMBERED_SECONDS)
    .executeTakeFirst();
  return row !== undefined;
}

/** Remembers the network of a successful log-in. */
export async function rememberNetwork(trx: Transaction<Schema>, { index, network }: Attempt, now: number): Promise<void> {
  await trx
    .insertInto('known_networks')
    .values({ email_index: index, network, last_used: now })
    .onConflict((conflict) => conflict.columns(['email_index', 'network']).doUpdateSet({ last_used: now }))
    .execute();
  const surplus = trx
    .selectFrom('known_networks')
    .select('network')
    .where('email_index', '=', index)
    .where('network', '!=', network)
    .orderBy('last_used', 'desc')
    .orderBy('network')
    // SQLite has no offset without a limit.
    .limit(Number.MAX_SAFE_INTEGER)
    .offset(MOST_NETWORKS - 1);
  await trx.deleteFrom('known_networks').where('email_index', '=', index).where('network', 'in', surplus).execute();
}

/** Forgets all networks of an address but one: after a change of the password, only the network that made it is known. */
export async function forgetOtherNetworks(trx: Transaction<Schema>, { index, network }: Attempt): Promise<void> {
  await trx.deleteFrom('known_networks').where('email_index', '=', index).where('network', '!=', network).execute();
}

/** Forgets all networks of an address. */
export async function forgetNetworks(trx: Transaction<Schema>, index: Buffer): Promise<void> {
  await trx.deleteFrom('known_networks').where('email_index', '=', index).execute();
}

/** Forgets networks that were not used for too long. A clock that was ahead does not keep one for longer. */
export async function forgetUnusedNetworks(connection: Connection, now: number): Promise<void> {
  await connection.updateTable('known_networks').set({ last_used: now }).where('last_used', '>', now).execute();
  await connection
    .deleteFrom('known_networks')
    .where('last_used', '<', now - REMEMBERED_SECONDS)
    .execute();
}
