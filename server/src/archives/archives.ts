/** Archives that lie at the clients, and the fragments that open them (docs/server-protocol.md, section 5). */
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
import { stateHistory } from '../audit/history.js';
import { recordingRefusals } from '../audit/refused.js';
import type { Connection, Context, Member } from '../context.js';
import { type Page, type PageQuery, pageOf } from '../database/paging.js';
import type { ArchiveTable } from '../database/schema.js';
import { demandDevice, type ProvenRequest, withProvenDevice } from '../devices/proven.js';
import { acceptedKeys, findKey, storeWrapped } from '../keys/wrapping.js';
import { entitling, notEntitled } from '../leases/entitlements.js';
import { WrongField } from '../wrong-field.js';

type Archive = RouteAnswer<'getArchive'>;

const ATTEMPTS = 5;
const resource = (name: string): string => `archive:${name}`;

/** As the contract shows it: never the fragment. */
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
const noArchive = (name: string): ModelGuardError => new ModelGuardError('NOT_FOUND', `There is no archive ${name}`);

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
  return await recordingRefusals(context, entry, () =>
    storeWrapped(
      context,
      async (to) => resealed(context, name, sealed, encryptionKeyOf(to)),
      async (trx, wrapped, wrappedTo) => {
        const taken = await trx.selectFrom('archives').select('name').where('name', '=', name).executeTakeFirst();
        if (taken) throw new ModelGuardError('ALREADY_EXISTS', `An archive ${name} is registered already`);
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

/** Sealed by the publisher to any key that is accepted now. */
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
  return await recordingRefusals(context, entry, async () => {
    const row = await described(context.db).where('name', '=', name).executeTakeFirst();
    if (!row) throw noArchive(name);
    await context.audit.record({ ...entry, outcome: 'success' });
    return archiveOf(row);
  });
}

/** Forgets an archive and its fragment: nobody unlocks it here any more. @throws NOT_FOUND */
export async function deleteArchive(context: Context, member: Member, name: string): Promise<void> {
  const entry = { action: 'archives.delete', resource: resource(name), caller: member } as const;
  await recordingRefusals(context, entry, () =>
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
    const found = await entitling(connection, { ...wanted, now: context.now() }).executeTakeFirst();
    if (!found) throw notEntitled('archive', name);
  };
  const { row, device } = await withProvenDevice(context, entry, request, async (trx, { id, public_key }) => {
    // What was signed for one archive is not good for another one.
    if (request.name !== name) throw new WrongField('name', 'is not that of the archive in the address');
    await demandEntitled(trx);
    const found = await trx.selectFrom('archives').selectAll().where('name', '=', name).executeTakeFirst();
    if (!found) throw noArchive(name);
    await context.audit.append(trx, { ...entry, outcome: 'success', detail: `device ${id}` });
    return { row: found, device: public_key };
  });
  const fragment = await sealedTo(context, row, device, request.challenge);
  const checkpoint = await latestCheckpoint(context);
  // Sealing took a while: it is answered only while it would still be allowed.
  await recordingRefusals(context, entry, async () => {
    await demandDevice(context.db, member, request.device);
    await demandEntitled(context.db);
    const still = await described(context.db).where('name', '=', name).where('sha256', '=', row.sha256).executeTakeFirst();
    if (!still) throw noArchive(name);
  });
  const { checkpoint: seen } = request;
  const history = seen && stateHistory(context, (await context.keys.newest(context.db)).key, seen);
  return { fragment: encode(fragment), archive: archiveOf(row), ...(checkpoint && { checkpoint }), ...(history && { history }) };
}

/** Where a rotation wrapped the fragment to another key meanwhile, the row says so by now. */
async function sealedTo(context: Context, archive: ArchiveTable, to: string, challenge: string): Promise<Uint8Array> {
  const { db, serverId } = context;
  let row = archive;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const key = await findKey(context, row.wrapped_to);
    if (key) return resealFragment({ key, sealed: row.fragment, to, serverId, name: row.name, challenge });
    const again = await db.selectFrom('archives').selectAll().where('name', '=', row.name).executeTakeFirst();
    if (!again) throw noArchive(row.name);
    row = again;
  }
  throw new ModelGuardError('INTERNAL', 'No key of this server opens the fragment');
}
