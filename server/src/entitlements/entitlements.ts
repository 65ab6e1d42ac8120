/** Entitlements: which account or device may load or unlock a model or archive, on how many devices, and for how long. */
import { randomBytes } from 'node:crypto';
import { ModelGuardError, type RouteAnswer, type RouteInput } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { CHECK_ACCOUNT } from '../accounts/users.js';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import { FieldError } from '../base/field-error.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import { datedCursor, datedPage, type Page, pageOf } from '../database/pages.js';
import type { EntitlementTable, Schema } from '../database/schema.js';
import { CHECK_DEVICE } from '../devices/devices.js';
import { REVOKED } from '../devices/revocation.js';

export type Entitlement = RouteAnswer<'createEntitlement'>;

const newId = (): string => randomBytes(16).toString('hex');

/** The entitlement as the contract shows it. */
export const entitlementOf = (row: EntitlementTable): Entitlement => ({
  id: row.id,
  kind: row.kind,
  name: row.name,
  account: row.account,
  ...(row.device !== null && { device: row.device }),
  seats: row.seats,
  leaseSeconds: row.lease_seconds,
  offlineSeconds: row.offline_seconds,
  ...(row.not_before !== null && { notBefore: row.not_before }),
  ...(row.not_after !== null && { notAfter: row.not_after }),
  created: row.created,
});

export async function listEntitlements(
  context: Context,
  member: Member,
  { cursor, limit, account, name }: RouteInput<'listEntitlements'>['query'],
): Promise<Page<Entitlement>> {
  let query = datedPage(context.db.selectFrom('entitlements').selectAll(), 'entitlements', { cursor, limit });
  if (account !== undefined) query = query.where('account', '=', account);
  if (name !== undefined) query = query.where('name', '=', name);
  const rows = await query.execute();
  await context.audit.record({ action: 'entitlements.list', outcome: 'success', caller: member });
  return pageOf(rows, limit, datedCursor, entitlementOf);
}

/**
 * Creates an entitlement. The model or archive need not exist yet.
 * @throws NOT_FOUND if the account, or its device, does not exist; INVALID_ARGUMENT for an empty period
 */
export async function createEntitlement(
  context: Context,
  member: Member,
  given: RouteInput<'createEntitlement'>['body'],
): Promise<Entitlement> {
  const { notBefore, notAfter } = given;
  if (notAfter !== undefined && notAfter <= (notBefore ?? 0)) throw new FieldError('notAfter', 'is not after notBefore');
  const row: EntitlementTable = {
    id: newId(),
    kind: given.kind,
    name: given.name,
    account: given.account,
    device: given.device ?? null,
    seats: given.seats,
    lease_seconds: given.leaseSeconds,
    offline_seconds: given.offlineSeconds,
    not_before: notBefore ?? null,
    not_after: notAfter ?? null,
    created: context.now(),
  };
  const entry = { action: 'entitlements.create', resource: `entitlement:${row.id}`, caller: member } as const;
  return await recordRefusals(context, entry, () =>
    context.db.transaction().execute(async (trx) => {
      const subject = await subjectOf(trx, row.account);
      if (subject === undefined) throw new ModelGuardError('NOT_FOUND', 'There is no such account', { advice: CHECK_ACCOUNT });
      if (row.device !== null) await requireDevice(trx, row.device, row.account);
      await trx.insertInto('entitlements').values(row).execute();
      const detail = `${row.kind} ${row.name}, account ${row.account}${row.device === null ? '' : `, device ${row.device}`}`;
      await context.audit.append(trx, { ...entry, outcome: 'success', subject, detail });
      return entitlementOf(row);
    }),
  );
}

/**
 * Deletes an entitlement and revokes its leases.
 * @throws NOT_FOUND
 */
export async function deleteEntitlement(context: Context, member: Member, id: string): Promise<void> {
  const entry = { action: 'entitlements.delete', resource: `entitlement:${id}`, caller: member } as const;
  await recordRefusals(context, entry, () =>
    context.db.transaction().execute(async (trx) => {
      const row = await trx.deleteFrom('entitlements').where('id', '=', id).returningAll().executeTakeFirst();
      if (!row)
        throw new ModelGuardError('NOT_FOUND', 'There is no such entitlement', {
          advice: 'Look at the list (`model-guard entitlements list`).',
        });
      await trx.updateTable('leases').set(REVOKED).where('entitlement', '=', id).execute();
      const detail = `${row.kind} ${row.name}, account ${row.account}`;
      await context.audit.append(trx, { ...entry, outcome: 'success', subject: await subjectOf(trx, row.account), detail });
    }),
  );
}

/** The subject of an account; undefined once the account is gone. */
export async function subjectOf(trx: Transaction<Schema>, account: string): Promise<string | undefined> {
  const user = await trx.selectFrom('users').select('subject').where('id', '=', account).executeTakeFirst();
  return user?.subject;
}

async function requireDevice(trx: Transaction<Schema>, device: string, account: string): Promise<void> {
  const found = await trx
    .selectFrom('devices')
    .select('state')
    .where('id', '=', device)
    .where('account', '=', account)
    .executeTakeFirst();
  if (!found) throw new ModelGuardError('NOT_FOUND', 'This account has no such device', { advice: CHECK_DEVICE });
  if (found.state === 'revoked') throw new ModelGuardError('DEVICE_REVOKED', 'This device was revoked');
}

/** The entitlements of this account and device that are valid now; those for the device alone come first. */
export const currentEntitlements = (
  connection: Connection,
  { kind, name, account, device, now }: Pick<EntitlementTable, 'kind' | 'name' | 'account'> & { device: string; now: number },
) =>
  connection
    .selectFrom('entitlements')
    .selectAll()
    .where('account', '=', account)
    .where('kind', '=', kind)
    .where('name', '=', name)
    .where((eb) => eb.or([eb('device', 'is', null), eb('device', '=', device)]))
    .where((eb) => eb.or([eb('not_before', 'is', null), eb('not_before', '<=', now)]))
    .where((eb) => eb.or([eb('not_after', 'is', null), eb('not_after', '>', now)]))
    .orderBy((eb) => eb('device', 'is', null))
    .orderBy('created')
    .orderBy('id');

/** The error for an account and device without an entitlement. */
export const notEntitled = (kind: EntitlementTable['kind'], name: string): ModelGuardError =>
  new ModelGuardError('NOT_AUTHORISED', `Nothing entitles this account and device to the ${kind} ${name} now`);
