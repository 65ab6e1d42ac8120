/** A device introduces itself (docs/server-protocol.md, section 3). */
import type { AbortSignalLike } from '../../base/abort.js';
import { decode, encode, unhex } from '../../base/bytes.js';
import { fingerprintOf } from '../../contract/index.js';
import { hasCode, ModelGuardError } from '../../errors.js';
import { call } from '../../native/index.js';
import type { Connection } from '../connection.js';
import { withOutcome } from '../outcome.js';
import type { Device, Enrolment } from '../records.js';
import type { CallerOptions } from '../types.js';
import { proveEnrolment, type Signer } from './proof.js';

export interface EnrollingDevice extends Signer {
  /** `mgd1:…` */
  readonly publicKey: string;
}

/** A device that is enrolled already is told how it stands. */
export async function enroll(
  connection: Connection,
  device: EnrollingDevice,
  name: string,
  signal: AbortSignalLike | undefined,
): Promise<Enrolment> {
  try {
    const find = async (options: CallerOptions) => ({ answer: await known(connection, device, options) });
    const change = { route: 'enrollDevice', pace: connection.client.pace, signal, find } as const;
    return told(device, await withOutcome(() => introduce(connection, device, name, signal), change));
  } catch (error) {
    if (!hasCode(error, 'ALREADY_EXISTS')) throw error;
    // Of another account it is not ours to see.
    const there = await known(connection, device, { signal }).catch(() => undefined);
    if (!there) throw error;
    return told(device, there);
  }
}

const known = (connection: Connection, { id }: EnrollingDevice, options: CallerOptions): Promise<Device> =>
  connection.call('getDevice', { params: { device: id } }, options);

function introduce(
  connection: Connection,
  device: EnrollingDevice,
  name: string,
  signal: AbortSignalLike | undefined,
): Promise<Device> {
  const { client, trust } = connection;
  const { publicKey } = device;
  return connection.procedure({ repeatable: true, signal }, async (options) => {
    const { server } = await trust.facts(options);
    const { challenge, nonce, serverId } = await client.call('challengeDevice', { body: { publicKey } }, options);
    // A signature for another server's challenge would enrol this device there.
    if (serverId !== server)
      throw new ModelGuardError('SERVER_UNTRUSTED', 'The challenge is of another server than the one whose key is pinned');
    const identity = call((native) => native.machineIdentity(device.handle, unhex(server)));
    const body = { name, publicKey, challenge, ...(identity && { machineIdentity: encode(identity) }) };
    const proof = proveEnrolment(device, { serverId, challenge, nonce: decode(nonce) }, body);
    return await client.call('enrollDevice', { body }, { ...options, ...proof });
  });
}

function told({ id, publicKey }: EnrollingDevice, device: Device): Enrolment {
  if (device.id !== id || device.publicKey !== publicKey)
    throw new ModelGuardError('RESPONSE_INVALID', 'The server tells of another device than the one that enrolled');
  return { device, fingerprint: fingerprintOf(publicKey), state: device.state };
}
