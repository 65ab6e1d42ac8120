/** Limits the bytes and the number of an account's big parts, on the disk and in the bucket, open uploads included. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import { sql, type Transaction } from 'kysely';
import type { Config } from '../base/config.js';
import type { Schema } from '../database/schema.js';

/** Parts of an account that no version names. Empty ones cost a row and a file, too. */
const MOST_UNPUBLISHED = 1000;

/**
 * Runs within the transaction that writes the upload's row, so that uploads at once count each other.
 * @throws LIMIT_EXCEEDED
 */
export async function refuseBeyondQuota(
  trx: Transaction<Schema>,
  { accountQuota }: Pick<Config, 'accountQuota'>,
  account: string,
  bytes: number,
): Promise<void> {
  let [used, unpublished] = [0, 0];
  for (const table of ['uploads', 'disk_parts'] as const) {
    const parts = trx.selectFrom(table).where('account', '=', account);
    const { sum } = await parts.select(sql<number>`cast(coalesce(sum(size), 0) as bigint)`.as('sum')).executeTakeFirstOrThrow();
    used += sum;
    const { count } = await parts
      .where(({ exists, not, selectFrom }) =>
        not(exists(selectFrom('versions').select('big_name').whereRef('versions.big_name', '=', `${table}.part`))),
      )
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    unpublished += count;
  }
  if (unpublished >= MOST_UNPUBLISHED)
    throw new ModelGuardError('LIMIT_EXCEEDED', `This account has ${unpublished} big parts that no version names`, {
      advice: 'Publish them, or give up uploads that are not needed. A part that no version names goes after a day.',
    });
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
