/** Names of devices are personal: each is boxed under the key of the account that enrolled it. */
import { fingerprintOf, isModelGuardError, ModelGuardError, type RouteAnswer, unhex } from '@org/model-guard/server-kit';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import type { DeviceTable } from '../database/schema.js';

export type Device = RouteAnswer<'getDevice'>;
/** A device with the key of its name; nulls once the account is erased. */
export type NamedDevice = DeviceTable & { readonly subject: string | null; readonly wrapped: Buffer | null };

/** Stands for a name whose key was destroyed. */
const ERASED = '(erased)';

/** Devices, each with the key of its account. */
export const namedDevices = (connection: Connection) =>
  connection
    .selectFrom('devices')
    .leftJoin('users', 'users.id', 'devices.account')
    .leftJoin('subjects', 'subjects.id', 'users.subject')
    .selectAll('devices')
    .select(['users.subject', 'subjects.wrapped']);

/** Boxes a name in the transaction that stores it, so that no name of an erased account is written. NOT_AUTHENTICATED */
export async function boxName(
  { keys }: Context,
  connection: Connection,
  { account }: Member,
  device: string,
  name: string,
): Promise<Buffer> {
  const subject = await connection.selectFrom('subjects').select('wrapped').where('id', '=', account.subject).executeTakeFirst();
  if (!subject) throw new ModelGuardError('NOT_AUTHENTICATED', 'This account does not exist any more');
  return Buffer.from(keys.fields.seal(subject.wrapped, account.subject, unhex(device), name));
}

function openName({ keys, log }: Context, { id, name, subject, wrapped }: NamedDevice): string {
  if (subject === null || wrapped === null) return ERASED;
  try {
    return String(keys.fields.open(wrapped, subject, unhex(id), name));
  } catch (error) {
    if (!isModelGuardError(error)) throw error;
    // One damaged name must not hide all devices from the accounts that decide about them.
    log.error({ device: id, code: error.code }, 'the name of a device cannot be opened');
    return ERASED;
  }
}

/** The device as the contract shows it. */
export const deviceOf = (context: Context, row: NamedDevice): Device => ({
  id: row.id,
  account: row.account,
  name: openName(context, row),
  publicKey: row.public_key,
  fingerprint: fingerprintOf(row.public_key),
  sealed: row.machine_identity !== null,
  state: row.state,
  created: row.created,
  ...(row.decided !== null && { decided: row.decided }),
});
