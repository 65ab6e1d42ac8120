/** Enrolment (docs/server-protocol.md, section 3): a device shows that it holds both of its private keys. */
import {
  decode,
  deviceIdOf,
  enrolmentProofHolds,
  ModelGuardError,
  nonceFor,
  type RouteAnswer,
  type RouteInput,
} from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { DeviceTable, Schema } from '../database/schema.js';
import { keepChallenge, newChallenge, spendChallenge, unproven } from './challenges.js';
import { boxName, type Device, deviceOf, namedDevices } from './names.js';

/** Devices of one account that wait for approval at a time. */
const MOST_PENDING = 200;

/** A challenge, and a nonce that only the holder of the X25519 key can open. */
export async function beginEnrolment(
  context: Context,
  member: Member,
  publicKey: string,
): Promise<RouteAnswer<'challengeDevice'>> {
  const { serverId } = context;
  deviceIdOf(publicKey);
  const challenge = newChallenge();
  const { nonce, sealed } = nonceFor(publicKey, serverId, challenge);
  const { expires } = await keepChallenge(context, member, { challenge, purpose: 'enrolment', nonce: Buffer.from(nonce) });
  return { challenge, expires, nonce: sealed, serverId };
}

/** The signed body of a request. */
interface SignedBody {
  readonly raw: Uint8Array;
  /** base64url */
  readonly proof: string;
}

/**
 * Enrols a device of the caller's, which then waits for approval.
 * @throws PROOF_INVALID, ALREADY_EXISTS, DEVICE_REVOKED, KEY_INVALID, LIMIT_EXCEEDED
 */
export async function enrol(
  context: Context,
  member: Member,
  body: RouteInput<'enrollDevice'>['body'],
  signed: SignedBody,
): Promise<Device> {
  const device = deviceIdOf(body.publicKey);
  const entry = { action: 'devices.enroll', resource: `device:${device}`, caller: member } as const;
  return await recordRefusals(context, entry, async () => {
    const { account } = member;
    // In a statement of its own and first, so that the challenge is gone in any case.
    const spent = await spendChallenge(
      context.db,
      { challenge: body.challenge, purpose: 'enrolment', account: account.id },
      context.now(),
    );
    const proven =
      spent?.nonce &&
      enrolmentProofHolds({
        serverId: context.serverId,
        challenge: body.challenge,
        deviceId: device,
        device: body.publicKey,
        body: signed.raw,
        signature: signed.proof,
        nonce: spent.nonce,
      });
    if (!proven) throw unproven();

    const row: Omit<DeviceTable, 'name'> = {
      id: device,
      account: account.id,
      public_key: body.publicKey,
      machine_identity: body.machineIdentity === undefined ? null : Buffer.from(decode(body.machineIdentity)),
      state: 'pending',
      created: context.now(),
      decided: null,
    };
    return await context.db.transaction().execute(async (trx) => {
      const known = await trx.selectFrom('devices').select(['account', 'state']).where('id', '=', device).executeTakeFirst();
      if (known) throw alreadyThere(known, account.id);
      await refuseMany(trx, account.id);
      const name = await boxName(context, trx, member, device, body.name);
      await trx
        .insertInto('devices')
        .values({ ...row, name })
        .execute();
      await context.audit.append(trx, { ...entry, outcome: 'success' });
      return deviceOf(context, await namedDevices(trx).where('devices.id', '=', device).executeTakeFirstOrThrow());
    });
  });
}

async function refuseMany(trx: Transaction<Schema>, account: string): Promise<void> {
  const { pending } = await trx
    .selectFrom('devices')
    .select(({ fn }) => fn.countAll<number>().as('pending'))
    .where('account', '=', account)
    .where('state', '=', 'pending')
    .executeTakeFirstOrThrow();
  if (pending < MOST_PENDING) return;
  throw new ModelGuardError('LIMIT_EXCEEDED', `${pending} devices of this account wait for approval`, {
    advice: 'Have an administrator approve or revoke them: model-guard devices list --state pending.',
  });
}

/** The state of a device is told to its own account alone. */
function alreadyThere({ account, state }: Pick<DeviceTable, 'account' | 'state'>, asking: string): ModelGuardError {
  if (account === asking && state === 'revoked')
    return new ModelGuardError('DEVICE_REVOKED', 'This device key was revoked and does not come back');
  return new ModelGuardError('ALREADY_EXISTS', 'This device key is enrolled already', {
    advice: 'Use the device as it is enrolled, or make a new device key.',
  });
}
