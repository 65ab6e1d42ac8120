/** Replaces the signing key. The old key signs the new one, so that clients that trust any of them trust the newest. */
import { fingerprintOf, ModelGuardError, type RouteAnswer, type Statement, signAs } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import type { Schema } from '../database/schema.js';
import { afterCommit } from '../database/unavailable.js';
import { bindSigningKey, readBoundKeys } from './key-binding.js';

/**
 * The statements of each key about the next one, oldest first, and the last successor; `newest` is absent while the first key is
 * in use.
 */
export async function readSuccession(
  connection: Connection,
): Promise<{ readonly statements: readonly Statement[]; readonly newest: string | undefined }> {
  const rows = await connection.selectFrom('successions').select(['statement', 'key']).orderBy('ordinal').execute();
  return { statements: rows.map(({ statement }) => JSON.parse(statement) as Statement), newest: rows.at(-1)?.key };
}

/** The last successor. Reads one row; {@link readSuccession} reads the chain. */
export async function newestSuccessor(connection: Connection): Promise<string | undefined> {
  const row = await connection.selectFrom('successions').select('key').orderBy('ordinal', 'desc').limit(1).executeTakeFirst();
  return row?.key;
}

/**
 * Makes a new signing key, in use at once. The file of the old key stays: a database that is restored from an older copy signs with it
 * (docs/deployment.md).
 * @throws ALREADY_EXISTS where another request has just replaced it
 */
export async function replaceSigningKey(context: Context, caller: Member): Promise<RouteAnswer<'rotateSigningKey'>> {
  const { db, keys, audit, serverId, now } = context;
  const { key: old } = await keys.newest(db);
  const previous = old.publicKey.toString();
  // The file comes first: a row never names a key that a crash has lost.
  const key = (await keys.makeSigning()).publicKey.toString();
  const entry = { action: 'keys.rotate-signing', resource: `key:${key}`, caller } as const;
  let written = false;
  try {
    await recordRefusals(context, entry, () =>
      db.transaction().execute(async (trx) => {
        await refuseSecondSuccessor(trx, previous);
        const time = now();
        const statement = JSON.stringify(signAs(old, { kind: 'succession', server: serverId, time, next: key }));
        const ordinal = (await readSuccession(trx)).statements.length + 1;
        await trx.insertInto('successions').values({ ordinal, statement, key, created: time }).execute();
        await bindSigningKey(trx, key);
        await audit.append(trx, { ...entry, outcome: 'success', detail: `in the place of ${previous}` });
        written = true;
      }),
    );
  } catch (error) {
    // Only if no row can name the key: a commit whose answer was lost may have succeeded.
    if (!written) await keys.discard(key);
    throw error;
  }
  await afterCommit(() => keys.reload(db));
  return { key, previous, fingerprint: fingerprintOf(key) };
}

/** Refuses a second successor: it would be a second server to clients that pinned the key. */
async function refuseSecondSuccessor(trx: Transaction<Schema>, previous: string): Promise<void> {
  const { signing } = await readBoundKeys(trx);
  if (signing !== previous)
    throw new ModelGuardError('ALREADY_EXISTS', 'The signing key was replaced just now', {
      advice: 'Look at the key that the server has now, and ask again if it is to be replaced too.',
    });
}
