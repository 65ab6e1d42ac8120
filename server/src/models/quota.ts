/** How many bytes of big parts an account may have, on the disk and in the bucket, uploads that are under way included. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import { sql, type Transaction } from 'kysely';
import type { Config } from '../config.js';
import type { Schema } from '../database/schema.js';

/**
 * Within the transaction that writes the upload's row, so that uploads at once count each other.
 * @throws LIMIT_EXCEEDED
 */
export async function refuseBeyondQuota(
  trx: Transaction<Schema>,
  { accountQuota }: Pick<Config, 'accountQuota'>,
  account: string,
  bytes: number,
): Promise<void> {
  let used = 0;
  for (const table of ['uploads', 'disk_parts'] as const) {
    const { sum } = await trx
      .selectFrom(table)
      .select(sql<number>`cast(coalesce(sum(size), 0) as bigint)`.as('sum'))
      .where('account', '=', account)
      .executeTakeFirstOrThrow();
    used += sum;
  }
  if (used + bytes <= accountQuota) return;
  throw new ModelGuardError(
    'LIMIT_EXCEEDED',
    `The big parts of this account have ${used} bytes, and ${accountQuota} are allowed: there is no room for ${bytes} more`,
    {
      advice:
        'Give up uploads that are not needed, or have the administrator raise --account-quota. A part that no version names goes after a day.',
    },
  );
}
