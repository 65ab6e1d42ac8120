/**
 * Issues leases (docs/server-protocol.md, section 4): takes the seat in one transaction, then wraps the small part for one
 * device.
 */
import { randomBytes } from 'node:crypto';
import {
  encode,
  issueLease,
  ModelGuardError,
  type RouteAnswer,
  type RouteInput,
  type SigningKey,
  signAs,
} from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { latestCheckpoint } from '../audit/checkpoints.js';
import { type Position, signHistory } from '../audit/history.js';
import type { Member } from '../base/caller.js';
import type { Connection } from '../database/connection.js';
import type { EntitlementTable, LeaseTable, Schema, VersionTable } from '../database/schema.js';
import { demandDevice, type ProvenRequest, withProvenDevice } from '../devices/device-proof.js';
import { notEntitled } from '../entitlements/entitlements.js';
import { findEncryptionKey } from '../keys/current-key.js';
import { publishersOf } from '../models/publishers.js';
import { noneReleased, resourceOf } from '../models/versions.js';
import type { PartsContext } from '../parts/parts.js';
import { treeOf } from '../parts/parts.js';
import { chooseSeat, giveSeatBack, seatsFor, takeSeat } from './seats.js';

type LeaseRequest = RouteInput<'takeLease'>['body'];
type Grant = RouteAnswer<'takeLease'>;

/** Seconds by which the clock of a device may be behind. */
const SKEW_SECONDS = 120;
const ATTEMPTS = 5;

/** The lease as it is answered; its seat may last longer. */
type TakenLease = Parameters<typeof takeSeat>[1];

/** A seat that is taken. */
interface Seat {
  readonly lease: TakenLease;
  readonly version: VersionTable;
  readonly publishers: readonly string[];
  /** `mgd1:…` */
  readonly device: string;
  /** Earlier leases that this one replaces. */
  readonly superseded: readonly string[];
}

export class LeaseIssuer {
  readonly #context: PartsContext;

  constructor(context: PartsContext) {
    this.#context = context;
  }

  /**
   * Issues a small part that one device alone can open, for a time. A second request renews the lease and takes no second seat.
   * @throws the errors of {@link withProvenDevice} · NOT_AUTHORISED without an entitlement · NOT_FOUND, NOT_RELEASED,
   *   ROLLBACK_REFUSED, SIGNATURE_INVALID · SEATS_TAKEN
   */
  async take(member: Member, asked: LeaseRequest, signed: Pick<ProvenRequest, 'raw' | 'proof'>): Promise<Grant> {
    const { device, challenge, checkpoint, name } = asked;
    const seat = await withProvenDevice(
      this.#context,
      {
        action: 'leases.take',
        resource: `model:${name}${asked.version === undefined ? '' : `@${asked.version}`}`,
        caller: member,
      },
      { device, challenge, checkpoint, ...signed },
      (trx, { public_key }) => this.#seat(trx, member, asked, public_key),
    );
    try {
      const grant = await this.#grant(seat, checkpoint);
      await this.#demandStanding(member, seat);
      return grant;
    } catch (error) {
      await this.#giveBack(member, seat);
      throw error;
    }
  }

  async #seat(trx: Transaction<Schema>, member: Member, asked: LeaseRequest, publicKey: string): Promise<Seat> {
    const { audit, now } = this.#context;
    const { device, name } = asked;
    const account = member.account.id;
    const time = now();
    const entitlements = await seatsFor(trx, { name, account, device, now: time });
    if (entitlements.length === 0) throw notEntitled('model', name);
    const version = await releasedVersion(trx, asked);
    refuseOlder(version, asked.atLeast);
    const publishers = await demandPublisher(trx, version);
    const entitlement = chooseSeat(entitlements);

    const lease = {
      id: randomBytes(16).toString('hex'),
      entitlement: entitlement.id,
      name,
      version: version.version,
      device,
      account,
      ...times(entitlement, asked.seconds, time),
      created: time,
    };
    const superseded = await takeSeat(trx, lease);
    const event = { action: 'leases.take', resource: resourceOf(version), caller: member } as const;
    await audit.append(trx, { ...event, outcome: 'success', detail: `device ${device}, lease ${lease.id}` });
    return { lease, version, publishers, device: publicKey, superseded };
  }

  async #grant(seat: Seat, seen: Position | undefined): Promise<Grant> {
    const { db, keys } = this.#context;
    const checkpoint = await latestCheckpoint(this.#context);
    const big = await this.#big(seat.version);
    for (;;) {
      const { key } = await keys.newest(db);
      const signed = { ...(await this.#sign(seat, key)), ...(seen && { history: signHistory(this.#context, key, seen) }) };
      // Once any process has answered with a new key, no answer may be signed by the former one.
      if ((await keys.newest(db)).key === key) return { ...signed, ...(checkpoint && { checkpoint }), big };
    }
  }

  /** Signs the lease and the policy in the small part by one key, also while the key is being replaced. */
  async #sign(seat: Seat, signing: SigningKey): Promise<Pick<Grant, 'small' | 'lease'>> {
    const { lease, version, publishers } = seat;
    const { serverId: server, now } = this.#context;
    const small = await this.#issue(seat, signing);
    const statement = signAs(signing, {
      kind: 'lease',
      server,
      time: now(),
      lease: lease.id,
      device: lease.device,
      name: lease.name,
      version: lease.version,
      ordinal: version.ordinal,
      payloadId: version.payload_id,
      notBefore: lease.not_before,
      notAfter: lease.not_after,
      offlineUntil: lease.offline_until,
      publishers: [...publishers],
    });
    return { small: encode(small), lease: statement };
  }

  async #big({ big_name: name, big_size: size }: VersionTable): Promise<Grant['big']> {
    const { parts } = this.#context;
    const tree = (await parts.hasTree(name)) ? await parts.urls.sign(treeOf(name)) : undefined;
    return { name, size, ...(await parts.urls.sign(name)), ...(tree && { treeUrl: tree.url }) };
  }

  /** A rotation may wrap the small part to another key meanwhile; then the row is read again. */
  async #issue({ lease, version, publishers, device }: Seat, signing: SigningKey): Promise<Uint8Array> {
    const { db } = this.#context;
    let { small, wrapped_to: wrappedTo } = version;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const key = await findEncryptionKey(this.#context, wrappedTo);
      if (key)
        return await issueLease({
          small,
          ref: { name: version.name, version: version.version },
          publishers,
          keys: [key],
          device,
          policy: {
            notBefore: lease.not_before,
            notAfter: lease.not_after,
            offlineUntil: lease.offline_until,
            leaseId: lease.id,
            deviceId: lease.device,
          },
          signing,
        });
      ({ small, wrapped_to: wrappedTo } = await wrappingOf(db, version));
    }
    throw this.#context.keys.missing(wrappedTo);
  }

  /**
   * Checks once more, since signing takes a while: a lease is answered only while it would still be granted. Where its own row is
   * gone, a lease that superseded it on the same seat counts.
   * @throws the errors of {@link demandDevice} · NOT_AUTHORISED, NOT_RELEASED, SIGNATURE_INVALID
   */
  async #demandStanding(member: Member, { lease, version }: Seat): Promise<void> {
    const { db } = this.#context;
    await demandDevice(db, member, lease.device);
    const { entitlement, device, name } = lease;
    const held = await db
      .selectFrom('leases')
      .select('id')
      .where('entitlement', '=', entitlement)
      .where('device', '=', device)
      .where('name', '=', name)
      .where('revoked', '=', 0)
      .where('superseded', 'is', null)
      .limit(1)
      .executeTakeFirst();
    const { state } = await wrappingOf(db, version);
    if (state !== 'released') throw notReleased(version, state);
    await demandPublisher(db, version);
    // Last: revoking a version revokes its leases, and is the better reason.
    if (!held) throw notEntitled('model', name);
  }

  async #giveBack(member: Member, { lease, version, superseded }: Seat): Promise<void> {
    const { db, audit } = this.#context;
    await db.transaction().execute(async (trx) => {
      await giveSeatBack(trx, lease.id, superseded);
      const event = { action: 'leases.take', resource: resourceOf(version), caller: member } as const;
      await audit.append(trx, { ...event, outcome: 'failure', detail: `lease ${lease.id} was not issued` });
    });
  }
}

/** Bounded by the entitlement, whatever the request demands. */
export function times(
  { lease_seconds, offline_seconds, not_after }: EntitlementTable,
  asked: number | undefined,
  now: number,
): Pick<LeaseTable, 'not_before' | 'not_after' | 'offline_until'> {
  const end = Math.min(now + Math.min(asked ?? lease_seconds, lease_seconds), not_after ?? Number.MAX_SAFE_INTEGER);
  return { not_before: Math.max(0, now - SKEW_SECONDS), not_after: end, offline_until: Math.min(end, now + offline_seconds) };
}

/** The requested version, else the newest released one. */
async function releasedVersion(trx: Transaction<Schema>, { name, version }: LeaseRequest): Promise<VersionTable> {
  const rows = trx.selectFrom('versions').selectAll().where('name', '=', name);
  if (version === undefined) {
    const newest = await rows.where('state', '=', 'released').orderBy('ordinal', 'desc').limit(1).executeTakeFirst();
    return newest ?? (await noneReleased(trx, name));
  }
  const row = await rows.where('version', '=', version).executeTakeFirst();
  if (!row) throw new ModelGuardError('NOT_FOUND', `${name}@${version} is not published here`);
  if (row.state !== 'released') throw notReleased(row, row.state);
  return row;
}

/** @throws ROLLBACK_REFUSED for a version older than one that the device has had; its current lease goes on */
function refuseOlder({ name, version, ordinal }: VersionTable, atLeast = 0): void {
  if (ordinal >= atLeast) return;
  throw new ModelGuardError('ROLLBACK_REFUSED', `${name}@${version} is older than a version that this device has had`);
}

const notReleased = ({ name, version }: VersionTable, state: VersionTable['state']): ModelGuardError =>
  new ModelGuardError('NOT_RELEASED', `${name}@${version} is ${state}`);

/** The publishers of a model, one of which signed this version. @throws SIGNATURE_INVALID */
async function demandPublisher(connection: Connection, { name, version, publisher }: VersionTable): Promise<readonly string[]> {
  const publishers = await publishersOf(connection, name);
  if (publishers.includes(publisher)) return publishers;
  throw new ModelGuardError('SIGNATURE_INVALID', `The key that signed ${name}@${version} is not registered any more`, {
    advice: 'Ask for another version, or have an administrator register the key again.',
  });
}

/** @throws NOT_RELEASED if the version was replaced meanwhile */
async function wrappingOf(connection: Connection, { name, version, payload_id }: VersionTable) {
  const row = await connection
    .selectFrom('versions')
    .select(['state', 'small', 'wrapped_to'])
    .where('name', '=', name)
    .where('version', '=', version)
    .where('payload_id', '=', payload_id)
    .executeTakeFirst();
  if (row) return row;
  throw new ModelGuardError('NOT_RELEASED', `${name}@${version} was replaced just now`, { advice: 'Ask again.' });
}
