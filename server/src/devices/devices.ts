/** Looking at devices, and deciding about them. */
import { type AuditAction, fingerprintOf, ModelGuardError, permits, type RouteInput } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { confirmRights } from '../accounts/rights.js';
import { recordingRefusals } from '../audit/refused.js';
import type { Connection, Context, Member } from '../context.js';
import { datedCursor, datedPage, type Page, pageOf } from '../database/paging.js';
import type { Schema } from '../database/schema.js';
import { REVOKED } from '../leases/revocation.js';
import { WrongField } from '../wrong-field.js';
import { type Device, deviceOf, type NamedDevice, namedDevices } from './names.js';

const seesAll = ({ account }: Member): boolean => permits(account.role, 'devices.decide');
const resource = (device: string): string => `device:${device}`;
/** The same for a device that does not exist and for somebody else's. */
export const noDevice = (): ModelGuardError => new ModelGuardError('NOT_FOUND', 'There is no such device of this account');

export async function listDevices(
  context: Context,
  member: Member,
  { cursor, limit, state, account }: RouteInput<'listDevices'>['query'],
): Promise<Page<Device>> {
  let query = datedPage(namedDevices(context.db), 'devices', { cursor, limit });
  if (!seesAll(member)) query = query.where('devices.account', '=', member.account.id);
  if (account !== undefined) query = query.where('devices.account', '=', account);
  if (state !== undefined) query = query.where('devices.state', '=', state);
  const rows = await query.execute();
  await context.audit.record({ action: 'devices.list', outcome: 'success', caller: member });
  return pageOf(rows, limit, datedCursor, (row) => deviceOf(context, row));
}

async function find(connection: Connection, member: Member, id: string): Promise<NamedDevice> {
  const row = await namedDevices(connection).where('devices.id', '=', id).executeTakeFirst();
  if (!row || !(seesAll(member) || row.account === member.account.id)) throw noDevice();
  return row;
}

/** @throws NOT_FOUND */
export async function getDevice(context: Context, member: Member, id: string): Promise<Device> {
  const entry = { action: 'devices.read', resource: resource(id), caller: member } as const;
  return await recordingRefusals(context, entry, async () => {
    const row = await find(context.db, member, id);
    await context.audit.record({ ...entry, outcome: 'success', subject: row.subject ?? undefined });
    return deviceOf(context, row);
  });
}

/** People copy fingerprints with spaces, with colons, in capitals. */
const plain = (fingerprint: string): string => fingerprint.replace(/[\s:]/g, '').toLowerCase();

/**
 * Approves a device whose fingerprint was compared; a second time changes nothing.
 * @throws NOT_FOUND, INVALID_ARGUMENT, DEVICE_REVOKED
 */
export const approveDevice = (context: Context, member: Member, id: string, fingerprint: string): Promise<Device> =>
  deciding(context, member, id, 'devices.approve', async (trx, row) => {
    if (plain(fingerprint) !== plain(fingerprintOf(row.public_key)))
      throw new WrongField(
        'fingerprint',
        'is not that of this device',
        'Compare it with what the device itself prints; if they differ, somebody else enrolled this key.',
      );
    if (row.state === 'revoked') throw new ModelGuardError('DEVICE_REVOKED', 'This device was revoked and does not come back');
    if (row.state === 'pending') await decide(trx, context, id, 'approved');
  });

/**
 * Revokes a device for good, and its leases.
 * @throws NOT_FOUND
 */
export const revokeDevice = (context: Context, member: Member, id: string): Promise<Device> =>
  deciding(context, member, id, 'devices.revoke', async (trx, row) => {
    if (row.state !== 'revoked') await decide(trx, context, id, 'revoked');
    await trx.updateTable('leases').set(REVOKED).where('device', '=', id).execute();
  });

const decide = (trx: Transaction<Schema>, { now }: Context, id: string, state: 'approved' | 'revoked') =>
  trx.updateTable('devices').set({ state, decided: now() }).where('id', '=', id).execute();

async function deciding(
  context: Context,
  member: Member,
  id: string,
  action: AuditAction,
  change: (trx: Transaction<Schema>, row: NamedDevice) => Promise<void>,
): Promise<Device> {
  const entry = { action, resource: resource(id), caller: member };
  return await recordingRefusals(context, entry, () =>
    context.db.transaction().execute(async (trx) => {
      const deciding = await confirmRights(trx, member);
      const row = await find(trx, deciding, id);
      await change(trx, row);
      await context.audit.append(trx, { ...entry, outcome: 'success', subject: row.subject ?? undefined });
      return deviceOf(context, await find(trx, deciding, id));
    }),
  );
}
