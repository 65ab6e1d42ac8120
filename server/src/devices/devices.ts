/** Lists devices, approves and revokes them. */
import { type AuditAction, fingerprintOf, ModelGuardError, permits, type RouteInput } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { confirmRights } from '../accounts/rights.js';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import { FieldError } from '../base/field-error.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import { datedCursor, datedPage, type Page, pageOf } from '../database/pages.js';
import type { Schema } from '../database/schema.js';
import { type Device, deviceOf, type NamedDevice, namedDevices } from './names.js';
import { REVOKED } from './revocation.js';

const seesAll = ({ account }: Member): boolean => permits(account.role, 'devices.decide');
const resource = (device: string): string => `device:${device}`;
/** Advice for devices that do not exist. */
export const CHECK_DEVICE = 'Look at the list of devices (`model-guard devices list`).';
export const noDevice = (): ModelGuardError =>
  new ModelGuardError('NOT_FOUND', 'There is no such device of this account', { advice: CHECK_DEVICE });

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
  return await recordRefusals(context, entry, async () => {
    const row = await find(context.db, member, id);
    await context.audit.record({ ...entry, outcome: 'success', subject: row.subject ?? undefined });
    return deviceOf(context, row);
  });
}

/** Fingerprints are often copied with spaces, colons or capitals. */
const plain = (fingerprint: string): string => fingerprint.replace(/[\s:]/g, '').toLowerCase();

/**
 * Approves a device whose fingerprint was compared; a second time changes nothing.
 * @throws NOT_FOUND, INVALID_ARGUMENT, DEVICE_REVOKED
 */
export const approveDevice = (context: Context, member: Member, id: string, fingerprint: string): Promise<Device> =>
  withDecision(context, member, id, 'devices.approve', async (trx, row) => {
    if (plain(fingerprint) !== plain(fingerprintOf(row.public_key)))
      throw new FieldError(
        'fingerprint',
        'is not that of this device',
        'Compare it with what the device itself prints; if they differ, another machine enrolled this key.',
      );
    if (row.state === 'revoked') throw new ModelGuardError('DEVICE_REVOKED', 'This device was revoked and does not come back');
    if (row.state === 'pending') await decide(trx, context, id, 'approved');
  });

/**
 * Revokes a device for good, and its leases.
 * @throws NOT_FOUND
 */
export const revokeDevice = (context: Context, member: Member, id: string): Promise<Device> =>
  withDecision(context, member, id, 'devices.revoke', async (trx, row) => {
    if (row.state !== 'revoked') await decide(trx, context, id, 'revoked');
    await trx.updateTable('leases').set(REVOKED).where('device', '=', id).execute();
  });

const decide = (trx: Transaction<Schema>, { now }: Context, id: string, state: 'approved' | 'revoked') =>
  trx.updateTable('devices').set({ state, decided: now() }).where('id', '=', id).execute();

async function withDecision(
  context: Context,
  member: Member,
  id: string,
  action: AuditAction,
  change: (trx: Transaction<Schema>, row: NamedDevice) => Promise<void>,
): Promise<Device> {
  const entry = { action, resource: resource(id), caller: member };
  return await recordRefusals(context, entry, () =>
    context.db.transaction().execute(async (trx) => {
      const deciding = await confirmRights(trx, member);
      const row = await find(trx, deciding, id);
      await change(trx, row);
      await context.audit.append(trx, { ...entry, outcome: 'success', subject: row.subject ?? undefined });
      return deviceOf(context, await find(trx, deciding, id));
    }),
  );
}
