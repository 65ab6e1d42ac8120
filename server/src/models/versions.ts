/** Reads versions of models, and finds the newest released one. */
import { ModelGuardError, type RouteAnswer, type RouteInput, signAs } from '@org/model-guard/server-kit';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import { FieldError } from '../base/field-error.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import { type Page, pageOf, splitCursor } from '../database/pages.js';
import type { VersionTable } from '../database/schema.js';
import type { Ref } from '../parts/parts.js';

export type Version = RouteAnswer<'getVersion'>;

/** The resource in the audit log. */
export const resourceOf = ({ name, version }: Ref): string => `model:${name}@${version}`;

/** The version as the contract shows it. */
export const versionOf = (row: Omit<VersionTable, 'small'> & { readonly small_bytes: number }): Version => ({
  name: row.name,
  version: row.version,
  ordinal: row.ordinal,
  state: row.state,
  format: row.format,
  payloadId: row.payload_id,
  digest: row.digest,
  smallBytes: row.small_bytes,
  bigBytes: row.big_size,
  bigName: row.big_name,
  publisher: row.publisher,
  publishedBy: row.published_by,
  created: row.created,
  ...(row.decided !== null && { decided: row.decided }),
});

/** Columns without the small parts, which are large and not needed here. */
const described = (connection: Connection) =>
  connection
    .selectFrom('versions')
    .select([
      'name',
      'version',
      'ordinal',
      'state',
      'format',
      'payload_id',
      'digest',
      'wrapped_to',
      'big_name',
      'big_size',
      'publisher',
      'published_by',
      'created',
      'decided',
    ])
    .select((eb) => eb.fn<number>('length', ['small']).as('small_bytes'));

/** @throws NOT_FOUND */
export async function findVersion(connection: Connection, { name, version }: Ref) {
  const row = await described(connection).where('name', '=', name).where('version', '=', version).executeTakeFirst();
  if (!row) throw new ModelGuardError('NOT_FOUND', `${name}@${version} is not published here`);
  return row;
}

/**
 * The newest released version of a model.
 * @throws NOT_FOUND if no version of that name was ever published; NOT_RELEASED
 */
export async function latestOf(connection: Connection, name: string) {
  const row = await described(connection)
    .where('name', '=', name)
    .where('state', '=', 'released')
    .orderBy('ordinal', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row ?? (await noneReleased(connection, name));
}

/** Throws NOT_FOUND if no version of that name was ever published, else NOT_RELEASED. */
export async function noneReleased(connection: Connection, name: string): Promise<never> {
  const any = await connection.selectFrom('versions').select('version').where('name', '=', name).limit(1).executeTakeFirst();
  throw any
    ? new ModelGuardError('NOT_RELEASED', `No version of ${name} is released`)
    : new ModelGuardError('NOT_FOUND', `No version of ${name} is published here`);
}

export async function listVersions(
  context: Context,
  member: Member,
  { cursor, limit, name, version, state }: RouteInput<'listVersions'>['query'],
): Promise<Page<Version>> {
  if (version !== undefined && name === undefined) throw new FieldError('query.version', 'needs query.name');
  const start = cursor === undefined ? { text: '', number: 0 } : splitCursor(cursor);
  let query = described(context.db)
    .where(({ eb, refTuple, tuple }) => eb(refTuple('name', 'ordinal'), '>', tuple(start.text, start.number)))
    .orderBy('name')
    .orderBy('ordinal')
    .limit(limit + 1);
  if (name !== undefined) query = query.where('name', '=', name);
  if (version !== undefined) query = query.where('version', '=', version);
  if (state !== undefined) query = query.where('state', '=', state);
  const rows = await query.execute();
  await context.audit.record({ action: 'models.list', outcome: 'success', caller: member });
  return pageOf(rows, limit, (row) => `${row.name}.${row.ordinal}`, versionOf);
}

/** @throws NOT_FOUND */
export async function getVersion(context: Context, member: Member, ref: Ref): Promise<Version> {
  const entry = { action: 'models.read', resource: resourceOf(ref), caller: member } as const;
  return await recordRefusals(context, entry, async () => {
    const row = await findVersion(context.db, ref);
    await context.audit.record({ ...entry, outcome: 'success' });
    return versionOf(row);
  });
}

/**
 * The newest released version, dated and signed, so that an older one cannot pass for it.
 * @throws NOT_FOUND, NOT_RELEASED
 */
export async function latestVersion(context: Context, member: Member, name: string): Promise<RouteAnswer<'latestVersion'>> {
  const entry = { action: 'models.latest', resource: `model:${name}`, caller: member } as const;
  return await recordRefusals(context, entry, async () => {
    const { version, ordinal } = await latestOf(context.db, name);
    await context.audit.record({ ...entry, outcome: 'success', resource: resourceOf({ name, version }) });
    const { keys, serverId: server } = context;
    const { key } = await keys.newest(context.db);
    return signAs(key, { kind: 'latest', server, time: context.now(), name, version, ordinal });
  });
}
