/** Requests that a device proves with a challenge (docs/server-protocol.md, sections 2, 4 and 5). */
import { isModelGuardError, leaseProofHolds, ModelGuardError, type RouteAnswer } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { confirmRights } from '../accounts/rights.js';
import { type Position, refuseUnknown } from '../audit/history.js';
import { outcomeOf } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import type { AuditEntry, Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import type { DeviceTable, Schema } from '../database/schema.js';
import { keepChallenge, newChallenge, spendChallenge, unproven } from './challenges.js';
import { noDevice } from './devices.js';

/** Begins a lease or an unlock. */
export async function beginProof(context: Context, member: Member): Promise<RouteAnswer<'challengeLease'>> {
  const challenge = newChallenge();
  const { expires } = await keepChallenge(context, member, { challenge, purpose: 'lease-request', nonce: null });
  return { challenge, expires };
}

export interface ProvenRequest {
  readonly device: string;
  readonly challenge: string;
  /** The body as received. */
  readonly raw: Uint8Array;
  /** The device's signature over it. */
  readonly proof: string;
  /** The position of the audit log that the device keeps. */
  readonly checkpoint?: Position | undefined;
}

/**
 * In one transaction: consumes the challenge, checks the caller's rights and the device, and calls `grant`. A refusal consumes
 * the challenge too, is recorded instead, and is thrown; so `grant` must refuse before it changes anything. On success `grant`
 * records the event.
 * @throws NOT_AUTHENTICATED, NOT_AUTHORISED once the caller's rights have ended · NOT_FOUND if the device is not the caller's ·
 *   PROOF_INVALID · DEVICE_NOT_APPROVED, DEVICE_REVOKED · AUDIT_LOG_ROLLED_BACK · what `grant` throws
 */
export async function withProvenDevice<Granted>(
  context: Context,
  entry: Omit<AuditEntry, 'outcome' | 'caller'> & { readonly caller: Member },
  request: ProvenRequest,
  grant: (trx: Transaction<Schema>, device: DeviceTable) => Promise<Granted>,
): Promise<Granted> {
  const { db, audit, now } = context;
  const account = entry.caller.account.id;
  // A device's keys never change, so the signature is checked before the transaction, which stays short.
  const signed = signatureHolds(context, request, await ownDevice(db, request.device, account));
  const outcome = await db.transaction().execute(async (trx) => {
    const { challenge } = request;
    const spent = await spendChallenge(trx, { challenge, purpose: 'lease-request', account }, now());
    try {
      await confirmRights(trx, entry.caller);
      const device = await ownDevice(trx, request.device, account);
      if (!device) throw noDevice();
      if (!spent || !signed) throw unproven();
      refuseUnapproved(device);
      await refuseUnknown(trx, request.checkpoint);
      return { granted: await grant(trx, device) };
    } catch (error) {
      if (!isModelGuardError(error)) throw error;
      await audit.refuse(trx, { ...entry, outcome: outcomeOf(error), detail: `device ${request.device}: ${error.code}` });
      return { refused: error };
    }
  });
  if (outcome.refused) throw outcome.refused;
  return outcome.granted;
}

/**
 * Checks caller and device once more before the answer: wrapping and signing take a while, and rights may have ended meanwhile.
 * @throws NOT_AUTHENTICATED, NOT_AUTHORISED, NOT_FOUND, DEVICE_NOT_APPROVED, DEVICE_REVOKED
 */
export async function demandDevice(connection: Connection, caller: Member, id: string): Promise<void> {
  await confirmRights(connection, caller);
  const device = await ownDevice(connection, id, caller.account.id);
  if (!device) throw noDevice();
  refuseUnapproved(device);
}

const ownDevice = (connection: Connection, id: string, account: string): Promise<DeviceTable | undefined> =>
  connection.selectFrom('devices').selectAll().where('id', '=', id).where('account', '=', account).executeTakeFirst();

const signatureHolds = (
  { serverId }: Context,
  { device: deviceId, challenge, raw: body, proof: signature }: ProvenRequest,
  device: DeviceTable | undefined,
): boolean =>
  device !== undefined && leaseProofHolds({ serverId, challenge, deviceId, device: device.public_key, body, signature });

function refuseUnapproved({ state }: DeviceTable): void {
  if (state === 'revoked') throw new ModelGuardError('DEVICE_REVOKED', 'This device was revoked, and its leases with it');
  if (state === 'pending') throw new ModelGuardError('DEVICE_NOT_APPROVED', 'This device is not approved yet');
}
