/** A database and the keys it was made with belong together: with others it could not be read, and devices would not trust it. */
import { type FieldCipher, hex, ModelGuardError, type SigningKey } from '@org/model-guard/server-kit';
import type { Database } from '../context.js';

interface Keys {
  readonly signing: SigningKey;
  readonly audit: SigningKey;
  readonly fields: FieldCipher;
}

/**
 * Notes the keys of a new database; compares those of an old one.
 * @throws KEY_INVALID
 */
export async function checkKeysBelong(db: Database, { signing, audit, fields }: Keys): Promise<void> {
  const mark = {
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
  const { value } = await db.selectFrom('meta').select('value').where('key', '=', 'keys').executeTakeFirstOrThrow();
  const known = JSON.parse(value) as typeof mark;
  const other = (Object.keys(mark) as (keyof typeof mark)[]).find((name) => known[name] !== mark[name]);
  if (other)
    throw new ModelGuardError('KEY_INVALID', `The ${other} key is not the one that this database was made with`, {
      advice: 'Restore the key files that belong to this database.',
    });
}
