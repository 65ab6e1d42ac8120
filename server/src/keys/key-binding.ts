/** Binds a database to the keys that it was made with: other keys could not read it, and devices would not trust them. */
import { randomBytes } from 'node:crypto';
import { type FieldCipher, hex, ModelGuardError, type SigningKey } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Connection, Database } from '../database/connection.js';
import type { Schema } from '../database/schema.js';
import { DatabaseUnavailable } from '../database/unavailable.js';

interface Keys {
  readonly signing: SigningKey;
  readonly audit: SigningKey;
  readonly fields: FieldCipher;
}
/** The public keys of the signing and audit keys; a MAC for the field key, which has no public half. */
type KeyNames = Readonly<Record<'signing' | 'audit' | 'field', string>>;
/** The ids that a database holds: of the server, and of its audit log. */
export interface DatabaseIds {
  readonly serverId: string;
  readonly logId: string;
}
/** The parts of a database's identity that never change; the signing key does. */
export type Identity = Readonly<Omit<KeyNames, 'signing'>> & DatabaseIds;
const LABELS: Readonly<Record<keyof Identity, string>> = {
  serverId: 'server id',
  logId: 'log id',
  audit: 'audit key',
  field: 'field key',
};

/** The ids of a database, made where it is new: 32 random hex digits each, which never change. */
export async function identify(db: Database): Promise<DatabaseIds> {
  return { serverId: await readOrMakeId(db, 'server_id'), logId: await readOrMakeId(db, 'log_id') };
}

async function readOrMakeId(db: Database, key: string): Promise<string> {
  const value = randomBytes(16).toString('hex');
  await db
    .insertInto('meta')
    .values({ key, value })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return (await db.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirstOrThrow()).value;
}

/**
 * Stores the names of the keys in a new database; compares them in an old one.
 * @throws KEY_INVALID
 */
export async function bindKeys(db: Database, keys: Keys): Promise<void> {
  const names = keyNamesOf(keys);
  await db
    .insertInto('meta')
    .values({ key: 'keys', value: JSON.stringify(names) })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const known = await readBoundKeys(db);
  const other = (Object.keys(names) as (keyof KeyNames)[]).find((name) => known[name] !== names[name]);
  if (other)
    throw new ModelGuardError('KEY_INVALID', `The ${other} key is not the one that belongs to this database`, {
      advice: 'Restore the key files that belong to this database.',
    });
}

/** The MAC of an empty text identifies a field key, and tells nothing about it. */
export const keyNamesOf = ({ signing, audit, fields }: Keys): KeyNames => ({
  signing: signing.publicKey.toString(),
  audit: audit.publicKey.toString(),
  field: hex(fields.emailIndex('')),
});

/**
 * The signing key that the database names now. The database may have been replaced since the process started: by an older copy,
 * whose signing key is an earlier one, or by another server's.
 * @throws DatabaseUnavailable where it is another server's
 */
export async function signingKeyOf(connection: Connection, own: Identity): Promise<string> {
  const rows = await connection.selectFrom('meta').selectAll().where('key', 'in', ['keys', 'server_id', 'log_id']).execute();
  const values = new Map(rows.map(({ key, value }) => [key, value]));
  const { signing, audit, field } = JSON.parse(values.get('keys') ?? '{}') as Partial<KeyNames>;
  const found: Record<keyof Identity, string | undefined> = {
    serverId: values.get('server_id'),
    logId: values.get('log_id'),
    audit,
    field,
  };
  const other = (Object.keys(found) as (keyof Identity)[]).find((name) => found[name] !== own[name]);
  if (signing === undefined || other)
    throw new DatabaseUnavailable(
      `The database is not the one that this server was started with: ${other ? `it has another ${LABELS[other]}` : 'it names no signing key'}`,
      true,
    );
  return signing;
}

/** Binds the database to another signing key. */
export async function bindSigningKey(trx: Transaction<Schema>, signing: string): Promise<void> {
  const names: KeyNames = { ...(await readBoundKeys(trx)), signing };
  await trx
    .updateTable('meta')
    .set({ value: JSON.stringify(names) })
    .where('key', '=', 'keys')
    .execute();
}

/** The keys that the database is bound to. */
export async function readBoundKeys(connection: Connection): Promise<KeyNames> {
  const { value } = await connection.selectFrom('meta').select('value').where('key', '=', 'keys').executeTakeFirstOrThrow();
  return JSON.parse(value) as KeyNames;
}
