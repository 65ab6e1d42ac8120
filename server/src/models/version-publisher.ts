/** Publishes versions: parts are uploaded first, then one commit makes a checked version of them. */
import { createHash } from 'node:crypto';
import {
  checkParts,
  decode,
  describePart,
  isModelGuardError,
  MAX_SMALL,
  ModelGuardError,
  type ModelGuardErrorCode,
  permits,
  rewrapForServer,
  verify,
} from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { confirmRights } from '../accounts/rights.js';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import type { Connection } from '../database/connection.js';
import type { Schema, VersionTable } from '../database/schema.js';
import { acceptedKeys, storeWrapped } from '../keys/current-key.js';
import { FairQueue } from '../limits/fair-queue.js';
import type { PartsContext } from '../parts/parts.js';
import { notUploaded, type Ref, type StoredPart } from '../parts/parts.js';
import { publishersOf, registeredPublishers, signerOf, unregisteredKey } from './publishers.js';
import { findVersion, resourceOf, type Version, versionOf } from './versions.js';

/** A check reads a whole big part and uses every core: more at once would only be slower. */
const CHECKS_AT_ONCE = 2;
/** Publications of one account that wait for their check; further ones get RATE_LIMITED. */
const CHECKS_WAITING = 64;

/** A publication that was checked. */
interface Publication {
  readonly ref: Ref;
  readonly small: Uint8Array;
  readonly described: ReturnType<typeof describePart>;
  readonly publishers: readonly string[];
  readonly publisher: string;
}

export class VersionPublisher {
  readonly #context: PartsContext;
  readonly #checks = new FairQueue(CHECKS_AT_ONCE, CHECKS_WAITING);

  constructor(context: PartsContext) {
    this.#context = context;
  }

  /**
   * Publishes `small` (base64url), whose big part is uploaded already. It is released at once where the caller may decide, else
   * pending.
   * @throws the errors of the container · REFERENCE_MISMATCH, SIGNATURE_MISSING, SIGNATURE_INVALID, PARTS_MISMATCH ·
   *   NO_MATCHING_IDENTITY if it is not encrypted to this server · NOT_FOUND without its big part · ALREADY_EXISTS,
   *   NOT_AUTHORISED
   */
  async publish(member: Member, ref: Ref, { small, overwrite }: { small: string; overwrite: boolean }): Promise<Version> {
    const entry = { action: 'models.publish', resource: resourceOf(ref), caller: member } as const;
    return await recordRefusals(this.#context, entry, async () => {
      try {
        const publication = await this.#checked(member, ref, decode(small), overwrite);
        return await this.#commit(member, publication, overwrite);
      } catch (error) {
        throw asPublication(error);
      }
    });
  }

  /** Does everything that takes time before the commit. */
  async #checked(member: Member, ref: Ref, small: Uint8Array, overwrite: boolean): Promise<Publication> {
    const { db, parts } = this.#context;
    if (small.length > MAX_SMALL)
      throw new ModelGuardError('LIMIT_EXCEEDED', `The small part has ${small.length} bytes; at most ${MAX_SMALL} are taken`);
    const described = describePart(small);
    if (described.name !== ref.name || described.version !== ref.version)
      throw new ModelGuardError(
        'REFERENCE_MISMATCH',
        `This is a container of another model or version than ${ref.name}@${ref.version}`,
      );
    const publishers = await registeredPublishers(db, ref.name);
    await verify(small, { verifier: publishers }).catch((error: unknown) => {
      throw isModelGuardError(error) && error.code === 'SIGNATURE_INVALID' ? unregisteredKey(ref) : error;
    });
    const publisher = signerOf(small, ref, publishers);
    // Refuse early, before the check; the commit decides.
    const replaced = await refuseTaken(db, member, ref, overwrite);
    // Leases of a replaced version go on; its big part stays for a grace period from now.
    if (replaced) await parts.touch(replaced.big_name);

    const { bigName, bigSize } = described;
    await parts.touch(bigName);
    const part = await parts.find(bigName);
    if (!part) throw notUploaded(bigName);
    if (part.size !== bigSize)
      throw new ModelGuardError('PARTS_MISMATCH', `The big part has ${part.size} bytes where the small part says ${bigSize}`);
    await this.#checks.run(member.account.id, () => this.#check(ref, small, bigName, part));
    return { ref, small, described, publishers, publisher };
  }

  /** Checks the part down to the last byte. The same small part with the same bytes is not checked again. */
  async #check(ref: Ref, small: Uint8Array, bigName: string, part: StoredPart): Promise<void> {
    const { parts } = this.#context;
    const mark = await parts.mark(bigName);
    const check = mark === undefined ? undefined : { small: createHash('sha384').update(small).digest('hex'), mark };
    if (check && (await parts.isChecked(bigName, check))) return;
    const { close, ...bytes } = await parts.open(bigName, part);
    try {
      await parts.storeTree(ref, bigName, await checkParts(small, bytes, {}));
    } finally {
      await close();
    }
    if (check) await parts.noteChecked(bigName, check);
  }

  async #commit(
    member: Member,
    { ref, small, described, publishers, publisher }: Publication,
    overwrite: boolean,
  ): Promise<Version> {
    const context = this.#context;
    return await storeWrapped(
      context,
      async (to) => rewrapForServer({ small, ref, publishers, keys: await acceptedKeys(context), to }),
      async (trx, wrapped, wrappedTo) => {
        // The current role decides, not the one at the begin of the upload.
        const publishing = await confirmRights(trx, member);
        const released = permits(publishing.account.role, 'models.decide');
        if (!(await publishersOf(trx, ref.name)).includes(publisher)) throw unregisteredKey(ref);
        const replaced = await refuseTaken(trx, publishing, ref, overwrite);
        if (replaced) await remove(trx, replaced);
        const now = context.now();
        await trx
          .insertInto('versions')
          .values({
            name: ref.name,
            version: ref.version,
            ordinal: Math.max(await newestOrdinal(trx, ref.name), replaced?.ordinal ?? 0) + 1,
            state: released ? 'released' : 'pending',
            format: described.format,
            payload_id: described.payloadId,
            digest: described.digest,
            small: Buffer.from(wrapped),
            wrapped_to: wrappedTo,
            big_name: described.bigName,
            big_size: described.bigSize,
            publisher,
            published_by: publishing.account.id,
            created: now,
            decided: released ? now : null,
          })
          .execute();
        const event = { outcome: 'success', resource: resourceOf(ref), caller: publishing } as const;
        const detail = replaced ? `in place of payload ${replaced.payload_id}` : undefined;
        await context.audit.append(trx, { ...event, action: 'models.publish', detail });
        if (released) await context.audit.append(trx, { ...event, action: 'models.release' });
        return versionOf(await findVersion(trx, ref));
      },
    );
  }
}

type ExistingVersion = Pick<VersionTable, 'name' | 'version' | 'ordinal' | 'state' | 'published_by' | 'payload_id' | 'big_name'>;

/**
 * The version that would be replaced. An account that may not decide about versions replaces only its own ones that were never
 * released.
 * @throws ALREADY_EXISTS, NOT_AUTHORISED
 */
async function refuseTaken(
  connection: Connection,
  { account }: Member,
  { name, version }: Ref,
  overwrite: boolean,
): Promise<ExistingVersion | undefined> {
  const taken = await connection
    .selectFrom('versions')
    .select(['name', 'version', 'ordinal', 'state', 'published_by', 'payload_id', 'big_name'])
    .where('name', '=', name)
    .where('version', '=', version)
    .executeTakeFirst();
  if (!taken) return undefined;
  if (!overwrite)
    throw new ModelGuardError('ALREADY_EXISTS', `${name}@${version} is published already`, {
      advice: 'A published version is immutable: choose another version, or replace it explicitly (overwrite: true, --force).',
    });
  const undecided = taken.state === 'pending' || taken.state === 'rejected';
  if (permits(account.role, 'models.decide') || (undecided && taken.published_by === account.id)) return taken;
  throw new ModelGuardError('NOT_AUTHORISED', `${name}@${version} is ${taken.state}, or was published by another account`, {
    advice: 'Publish another version, or have it replaced by someone who may release versions.',
  });
}

const remove = (trx: Transaction<Schema>, { name, version }: ExistingVersion) =>
  trx.deleteFrom('versions').where('name', '=', name).where('version', '=', version).execute();

async function newestOrdinal(trx: Transaction<Schema>, name: string): Promise<number> {
  const { newest } = await trx
    .selectFrom('versions')
    .select((eb) => eb.fn.max('ordinal').as('newest'))
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  return newest ?? 0;
}

const LEASES: ReadonlySet<ModelGuardErrorCode> = new Set([
  'POLICY_PRESENT',
  'LEASE_UNTRUSTED',
  'LEASE_NOT_YET_VALID',
  'LEASE_EXPIRED',
]);

/** Publishing a lease is the publisher's mistake, and no failure of this server. */
const asPublication = (error: unknown): unknown =>
  isModelGuardError(error) && LEASES.has(error.code)
    ? new ModelGuardError('INVALID_ARGUMENT', 'This small part carries a policy: it is a lease', {
        cause: error,
        advice: 'Publish the container itself.',
      })
    : error;
