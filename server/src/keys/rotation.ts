/** Replaces the key that small parts and fragments are wrapped to, while requests go on. */
import { randomBytes } from 'node:crypto';
import { encryptionKeyOf, ModelGuardError, type RouteAnswer } from '@org/model-guard/server-kit';
import type { Selectable } from 'kysely';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import type { RotationTable } from '../database/schema.js';
import { afterCommit } from '../database/unavailable.js';

export type Rotation = RouteAnswer<'getRotation'>;
export type RotationRow = Selectable<RotationTable>;

const NOTICE =
  'A rotation does not undo a leak: a holder of the old key and a small part keeps the model. ' +
  '`model-guard rekey` makes a new data key and a new big part.';
/** Rotations in the list. */
const MAX_LISTED = 100;
const resource = (id: string): string => `rotation:${id}`;

/** Counts the small parts and fragments whose key is, or is not, `key`. */
export async function countWrapped(connection: Connection, operator: '=' | '!=', key: string): Promise<number> {
  const count = async (table: 'versions' | 'archives'): Promise<number> => {
    const { rows } = await connection
      .selectFrom(table)
      .select(({ fn }) => fn.countAll<number>().as('rows'))
      .where('wrapped_to', operator, key)
      .executeTakeFirstOrThrow();
    return rows;
  };
  return (await count('versions')) + (await count('archives'));
}

/** The progress of a rotation that runs is computed from the tables, so that a restart loses none. */
async function describe(connection: Connection, row: RotationRow): Promise<Rotation> {
  // An older server, beside this one during an update, ends a rotation without the count.
  const [operator, key] = row.finished === null ? (['!=', row.to_key] as const) : (['=', row.from_key] as const);
  const left = row.remaining ?? (await countWrapped(connection, operator, key));
  return {
    id: row.id,
    state: row.finished === null ? 'running' : 'done',
    from: row.from_key,
    to: row.to_key,
    total: row.total,
    done: Math.max(0, row.total - left),
    started: row.started,
    ...(row.finished !== null && { finished: row.finished }),
    acceptUntil: row.accept_until,
    notice: NOTICE,
  };
}

/**
 * Makes a new current key; everything else is wrapped to it in the background.
 * @throws ALREADY_EXISTS while a rotation runs
 */
export async function beginRotation(context: Context, caller: Member, acceptSeconds: number): Promise<Rotation> {
  const { db, keys, audit } = context;
  await refuseIfRunning(db);
  // The file comes first: a row never names a key that a crash has lost.
  const key = await keys.make();
  const to = encryptionKeyOf(key);
  const id = randomBytes(16).toString('hex');
  const started = context.now();
  let written = false;
  try {
    await db.transaction().execute(async (trx) => {
      await refuseIfRunning(trx);
      const { key: from } = await trx
        .selectFrom('encryption_keys')
        .select('key')
        .where('state', '=', 'current')
        .executeTakeFirstOrThrow();
      const total = await countWrapped(trx, '!=', to);
      const acceptUntil = started + acceptSeconds;
      await keys.promote(trx, key, acceptUntil, started);
      const { ordinal } = await trx
        .selectFrom('rotations')
        .select(({ fn, val }) => fn.coalesce(fn.max('ordinal'), val(0)).as('ordinal'))
        .executeTakeFirstOrThrow();
      const row = {
        id,
        ordinal: ordinal + 1,
        from_key: from,
        to_key: to,
        total,
        started,
        finished: null,
        accept_until: acceptUntil,
      };
      await trx.insertInto('rotations').values(row).execute();
      await audit.append(trx, { action: 'keys.rotate', outcome: 'success', resource: resource(id), caller });
      written = true;
    });
  } catch (error) {
    // Only if no row can name the key: a commit whose answer was lost may have succeeded.
    if (!written) await keys.discard(to);
    throw error;
  }
  return await afterCommit(async () => {
    await keys.reload(db);
    return await findRotation(db, id);
  });
}

async function refuseIfRunning(connection: Connection): Promise<void> {
  if (await runningRotation(connection))
    throw new ModelGuardError('ALREADY_EXISTS', 'A rotation is running', {
      advice: 'Wait until it is done: GET /keys shows its progress.',
    });
}

/** The rotation that is not finished. */
export const runningRotation = (connection: Connection): Promise<RotationRow | undefined> =>
  connection.selectFrom('rotations').selectAll().where('finished', 'is', null).executeTakeFirst();

/** NOT_FOUND */
export async function findRotation(connection: Connection, id: string): Promise<Rotation> {
  const row = await connection.selectFrom('rotations').selectAll().where('id', '=', id).executeTakeFirst();
  if (!row) throw new ModelGuardError('NOT_FOUND', 'There is no such rotation');
  return await describe(connection, row);
}

/** The newest first, also of rotations that began in the same second. */
export async function listRotations(connection: Connection): Promise<Rotation[]> {
  const rows = await connection.selectFrom('rotations').selectAll().orderBy('ordinal', 'desc').limit(MAX_LISTED).execute();
  const rotations: Rotation[] = [];
  for (const row of rows) rotations.push(await describe(connection, row));
  return rotations;
}
