/** Erases an account, and by destroying its key everything that was boxed under it. The chain of events stays whole. */
import type { Transaction } from 'kysely';
import { ATTEMPT_TABLES, forgetAttempts } from '../accounts/admission.js';
import { removeFirstPassword } from '../accounts/first-password.js';
import { findUser, keepAnAdministrator } from '../accounts/users.js';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Schema } from '../database/schema.js';
import { type Deleted, noteDeletion, scrub } from '../database/scrub.js';
import { afterCommit } from '../database/unavailable.js';

/** Events in one statement. */
const BATCH = 5000;

/**
 * Erases an account, its devices, entitlements, leases and challenges, and destroys the key of its subject. Records about shared
 * things stay under random ids: the publisher of a version, the registrar of an archive, the existence of events.
 * @throws NOT_FOUND; NOT_AUTHORISED for the last account that can manage accounts
 */
export async function eraseUser(context: Context, caller: Member, account: string): Promise<void> {
  const { db } = context;
  const deleted = await db.transaction().execute(async (trx): Promise<Deleted> => {
    const { subject, wrapped, email_index, password } = await findUser(trx, account);
    await keepAnAdministrator(trx, account);
    // While the key exists, so that the event is boxed under it: after a self-erasure not even this event can be read.
    const about = { resource: `account:${account}`, detail: 'devices, entitlements and leases with it' };
    await context.audit.append(trx, { action: 'subjects.erase', outcome: 'success', caller, ...about });

    const devices = trx.selectFrom('devices').select('id').where('account', '=', account);
    const entitlements = trx.selectFrom('entitlements').select('id').where('account', '=', account);
    await trx
      .deleteFrom('leases')
      .where(({ eb, or }) =>
        or([eb('account', '=', account), eb('device', 'in', devices), eb('entitlement', 'in', entitlements)]),
      )
      .execute();
    await trx
      .deleteFrom('entitlements')
      .where(({ eb, or }) => or([eb('account', '=', account), eb('device', 'in', devices)]))
      .execute();
    await trx.deleteFrom('devices').where('account', '=', account).execute();
    await trx.deleteFrom('challenges').where('account', '=', account).execute();
    await forgetAttempts(trx, email_index);
    await trx.deleteFrom('users').where('id', '=', account).execute();
    await forgetActor(trx, subject);
    await trx.deleteFrom('subjects').where('id', '=', subject).execute();
    const gone = [wrapped, email_index, Buffer.from(password)];
    return { note: await noteDeletion(trx, ['subjects', 'users', ...ATTEMPT_TABLES]), gone };
  });
  await afterCommit(async () => {
    await scrub(context, deleted);
    await removeFirstPassword(context);
  });
}

/** In batches: one statement for all events of a busy administrator would exceed the time limit of statements. */
async function forgetActor(trx: Transaction<Schema>, subject: string): Promise<void> {
  for (let more = true; more; ) {
    const some = trx.selectFrom('audit').select('seq').where('actor', '=', subject).orderBy('seq').limit(BATCH);
    const { numUpdatedRows } = await trx
      .updateTable('audit')
      .set({ actor: null })
      .where('seq', 'in', some)
      .executeTakeFirstOrThrow();
    more = numUpdatedRows > 0n;
  }
}
