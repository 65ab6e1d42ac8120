/** A database and the keys it was made with belong together: with others it could not be read, and devices would not trust it. */
import { randomBytes } from 'node:crypto';
import { type FieldCipher, hex, ModelGuardError, type SigningKey } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Connection, Database } from '../context.js';
import { DatabaseAway } from '../database/away.js';
import type { Schema } from '../database/schema.js';

interface Keys {
  readonly signing: SigningKey;
  readonly audit: SigningKey;
  readonly fields: FieldCipher;
}
/** Names of keys, and of the field key what tells it from others. */
type Mark = Readonly<Record<'signing' | 'audit' | 'field', string>>;
/** The ids that a database holds: of the server, and of its audit log. */
export interface DatabaseIds {
  readonly serverId: string;
  readonly logId: string;
}
/** Identifies a database: these never change, while the signing key does. */
export type Identity = Readonly<Omit<Mark, 'signing'>> & DatabaseIds;

/** The ids of a database, made where it is new: 32 random hex digits each, the same ever after. */
export async function identify(db: Database): Promise<DatabaseIds> {
  return { serverId: await onlyOne(db, 'server_id'), logId: await onlyOne(db, 'log_id') };
}

async function onlyOne(db: Database, key: string): Promise<string> {
  const value = randomBytes(16).toString('hex');
  await db
    .insertInto('meta')
    .values({ key, value })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return (await db.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirstOrThrow()).value;
}

/**
 * Notes the keys of a new database; compares those of an old one.
 * @throws KEY_INVALID
 */
export async function checkKeysBelong(db: Database, keys: Keys): Promise<void> {
  const mark = markOf(keys);
  await db
    .insertInto('meta')
    .values({ key: 'keys', value: JSON.stringify(mark) })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const known = await noted(db);
  const other = (Object.keys(mark) as (keyof Mark)[]).find((name) => known[name] !== mark[name]);
  if (other)
    throw new ModelGuardError('KEY_INVALID', `The ${other} key is not the one that belongs to this database`, {
      advice: 'Restore the key files that belong to this database.',
    });
}

/** A MAC of something that is no address says which field key it is, and nothing about that key. */
export const markOf = ({ signing, audit, fields }: Keys): Mark => ({
  signing: signing.publicKey.toString(),
  audit: audit.publicKey.toString(),
  field: hex(fields.emailIndex('')),
});

/**
 * The name of the signing key that the database goes by now. Another database may have taken the place of the one that a process was
 * started with: an older copy of it, whose signing key is an earlier one, or a strange one.
 * @throws DatabaseAway where it is a strange one
 */
export async function signingKeyOf(connection: Connection, own: Identity): Promise<string> {
  const rows = await connection.selectFrom('meta').selectAll().where('key', 'in', ['keys', 'server_id', 'log_id']).execute();
  const values = new Map(rows.map(({ key, value }) => [key, value]));
  const { signing, audit, field } = JSON.parse(values.get('keys') ?? '{}') as Partial<Mark>;
  const found: Record<keyof Identity, string | undefined> = {
    serverId: values.get('server_id'),
    logId: values.get('log_id'),
    audit,
    field,
  };
  const other = (Object.keys(found) as (keyof Identity)[]).find((name) => found[name] !== own[name]);
  if (signing === undefined || other)
    throw new DatabaseAway(`The database is not the one that this server was started with: it has another ${other}`, true);
  return signing;
}

/** From now on the database belongs to another signing key. */
export async function noteSigningKey(trx: Transaction<Schema>, signing: string): Promise<void> {
  const mark: Mark = { ...(await noted(trx)), signing };
  await trx
    .updateTable('meta')
    .set({ value: JSON.stringify(mark) })
    .where('key', '=', 'keys')
    .execute();
}

/** The keys that the database belongs to. */
export async function noted(connection: Connection): Promise<Mark> {
  const { value } = await connection.selectFrom('meta').select('value').where('key', '=', 'keys').executeTakeFirstOrThrow();
  return JSON.parse(value) as Mark;
}
