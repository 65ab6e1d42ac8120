/** Archives that clients keep, and the fragments that open them (docs/server-protocol.md, section 5). */
import {
  decode,
  encode,
  encryptionKeyOf,
  isModelGuardError,
  ModelGuardError,
  type RouteAnswer,
  type RouteInput,
  resealFragment,
} from '@org/model-guard/server-kit';
import { latestCheckpoint } from '../audit/checkpoints.js';
import { signHistory } from '../audit/history.js';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import { FieldError } from '../base/field-error.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import { type Page, type PageQuery, pageOf } from '../database/pages.js';
import type { ArchiveTable } from '../database/schema.js';
import { demandDevice, type ProvenRequest, withProvenDevice } from '../devices/device-proof.js';
import { currentEntitlements, notEntitled } from '../entitlements/entitlements.js';
import { acceptedKeys, findEncryptionKey, storeWrapped } from '../keys/current-key.js';

type Archive = RouteAnswer<'getArchive'>;

const ATTEMPTS = 5;
const resource = (name: string): string => `archive:${name}`;

/** The archive as the contract shows it, without its fragment. */
const archiveOf = (row: Omit<ArchiveTable, 'fragment' | 'wrapped_to'>): Archive => ({
  name: row.name,
  format: row.format,
  sha256: row.sha256,
  size: row.size,
  registeredBy: row.registered_by,
  created: row.created,
});

const described = (connection: Connection) =>
  connection.selectFrom('archives').select(['name', 'format', 'sha256', 'size', 'registered_by', 'created']);
const noArchive = (name: string): ModelGuardError =>
  new ModelGuardError('NOT_FOUND', `There is no archive ${name}`, {
    advice: 'Look at the list of archives (`model-guard archives list`).',
  });

/**
 * Registers an archive. Its fragment is opened once, which proves that it was sealed to this server and for this name.
 * @throws INTEGRITY_FAILED, ALREADY_EXISTS
 */
export async function registerArchive(
  context: Context,
  member: Member,
  { fragment, ...given }: RouteInput<'registerArchive'>['body'],
): Promise<Archive> {
  const { name } = given;
  const entry = { action: 'archives.register', resource: resource(name), caller: member } as const;
  const sealed = decode(fragment);
  return await recordRefusals(context, entry, () =>
    storeWrapped(
      context,
      async (to) => resealed(context, name, sealed, encryptionKeyOf(to)),
      async (trx, wrapped, wrappedTo) => {
        const taken = await trx.selectFrom('archives').select('name').where('name', '=', name).executeTakeFirst();
        if (taken)
          throw new ModelGuardError('ALREADY_EXISTS', `An archive ${name} is registered already`, {
            advice: 'Give another name (--name), or have that one forgotten first (`model-guard archives delete`).',
          });
        const row = { ...given, registered_by: member.account.id, created: context.now() };
        await trx
          .insertInto('archives')
          .values({ ...row, fragment: Buffer.from(wrapped), wrapped_to: wrappedTo })
          .execute();
        await context.audit.append(trx, { ...entry, outcome: 'success' });
        return archiveOf(row);
      },
    ),
  );
}

/** Opens a fragment that the publisher sealed to any accepted key, and seals it to the current one. */
async function resealed(context: Context, name: string, sealed: Uint8Array, to: string): Promise<Uint8Array> {
  const { serverId } = context;
  let refused: unknown;
  for (const key of await acceptedKeys(context)) {
    try {
      return resealFragment({ key, sealed, to, serverId, name });
    } catch (error) {
      if (!isModelGuardError(error) || error.code !== 'INTEGRITY_FAILED') throw error;
      refused = error;
    }
  }
  throw refused;
}

export async function listArchives(context: Context, member: Member, { cursor, limit }: PageQuery): Promise<Page<Archive>> {
  const rows = await described(context.db)
    .where('name', '>', cursor ?? '')
    .orderBy('name')
    .limit(limit + 1)
    .execute();
  await context.audit.record({ action: 'archives.list', outcome: 'success', caller: member });
  return pageOf(rows, limit, (row) => row.name, archiveOf);
}

/** @throws NOT_FOUND */
export async function getArchive(context: Context, member: Member, name: string): Promise<Archive> {
  const entry = { action: 'archives.read', resource: resource(name), caller: member } as const;
  return await recordRefusals(context, entry, async () => {
    const row = await described(context.db).where('name', '=', name).executeTakeFirst();
    if (!row) throw noArchive(name);
    await context.audit.record({ ...entry, outcome: 'success' });
    return archiveOf(row);
  });
}

/** Deletes an archive and its fragment: no device unlocks it here any more. @throws NOT_FOUND */
export async function deleteArchive(context: Context, member: Member, name: string): Promise<void> {
  const entry = { action: 'archives.delete', resource: resource(name), caller: member } as const;
  await recordRefusals(context, entry, () =>
    context.db.transaction().execute(async (trx) => {
      const { numDeletedRows } = await trx.deleteFrom('archives').where('name', '=', name).executeTakeFirst();
      if (numDeletedRows === 0n) throw noArchive(name);
      await context.audit.append(trx, { ...entry, outcome: 'success' });
    }),
  );
}

/**
 * The fragment of an archive, sealed to one device and one challenge.
 * @throws what {@link withProvenDevice} throws · INVALID_ARGUMENT where another name was signed · NOT_AUTHORISED without an entitlement ·
 *   NOT_FOUND
 */
export async function unlockArchive(
  context: Context,
  member: Member,
  name: string,
  request: ProvenRequest & { readonly name: string },
): Promise<RouteAnswer<'unlockArchive'>> {
  const entry = { action: 'archives.unlock', resource: resource(name), caller: member } as const;
  const wanted = { kind: 'archive', name, account: member.account.id, device: request.device } as const;
  const demandEntitled = async (connection: Connection): Promise<void> => {
    const found = await currentEntitlements(connection, { ...wanted, now: context.now() }).executeTakeFirst();
    if (!found) throw notEntitled('archive', name);
  };
  const { row, device } = await withProvenDevice(context, entry, request, async (trx, { id, public_key }) => {
    // A request that was signed for one archive must not open another one.
    if (request.name !== name) throw new FieldError('name', 'is not that of the archive in the address');
    await demandEntitled(trx);
    const found = await trx.selectFrom('archives').selectAll().where('name', '=', name).executeTakeFirst();
    if (!found) throw noArchive(name);
    await context.audit.append(trx, { ...entry, outcome: 'success', detail: `device ${id}` });
    return { row: found, device: public_key };
  });
  const fragment = await sealedTo(context, row, device, request.challenge);
  const checkpoint = await latestCheckpoint(context);
  // Sealing takes a while, and rights may have ended meanwhile.
  await recordRefusals(context, entry, async () => {
    await demandDevice(context.db, member, request.device);
    await demandEntitled(context.db);
    const still = await described(context.db).where('name', '=', name).where('sha256', '=', row.sha256).executeTakeFirst();
    if (!still) throw noArchive(name);
  });
  const { checkpoint: seen } = request;
  const history = seen && signHistory(context, (await context.keys.newest(context.db)).key, seen);
  return { fragment: encode(fragment), archive: archiveOf(row), ...(checkpoint && { checkpoint }), ...(history && { history }) };
}

/** A rotation may wrap the fragment to another key meanwhile; then the row is read again. */
async function sealedTo(context: Context, archive: ArchiveTable, to: string, challenge: string): Promise<Uint8Array> {
  const { db, serverId } = context;
  let row = archive;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const key = await findEncryptionKey(context, row.wrapped_to);
    if (key) return resealFragment({ key, sealed: row.fragment, to, serverId, name: row.name, challenge });
    const again = await db.selectFrom('archives').selectAll().where('name', '=', row.name).executeTakeFirst();
    if (!again) throw noArchive(row.name);
    row = again;
  }
  throw context.keys.missing(row.wrapped_to);
}
