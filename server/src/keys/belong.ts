/** A database and the keys it was made with belong together: with others it could not be read, and devices would not trust it. */
import { type FieldCipher, hex, ModelGuardError, type SigningKey } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Connection, Database } from '../context.js';
import type { Schema } from '../database/schema.js';

interface Keys {
  readonly signing: SigningKey;
  readonly audit: SigningKey;
  readonly fields: FieldCipher;
}
/** Names of keys, and of the field key what tells it from others. */
type Mark = Readonly<Record<'signing' | 'audit' | 'field', string>>;

/**
 * Notes the keys of a new database; compares those of an old one.
 * @throws KEY_INVALID
 */
export async function checkKeysBelong(db: Database, { signing, audit, fields }: Keys): Promise<void> {
  const mark: Mark = {
    signing: signing.publicKey.toString(),
    audit: audit.publicKey.toString(),
    // A MAC of something that is no address: it says which key this is, and nothing about it.
    field: hex(fields.emailIndex('')),
  };
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

/** From now on the database belongs to another signing key. */
export async function noteSigningKey(trx: Transaction<Schema>, signing: string): Promise<void> {
  const mark: Mark = { ...(await noted(trx)), signing };
  await trx
    .updateTable('meta')
    .set({ value: JSON.stringify(mark) })
    .where('key', '=', 'keys')
    .execute();
}

/** What the database belongs to. */
export async function noted(connection: Connection): Promise<Mark> {
  const { value } = await connection.selectFrom('meta').select('value').where('key', '=', 'keys').executeTakeFirstOrThrow();
  return JSON.parse(value) as Mark;
}
