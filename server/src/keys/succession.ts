/** Replacing the signing key: the new one is signed by the old, so that whoever trusts any of them trusts the newest. */
import { fingerprintOf, ModelGuardError, type RouteAnswer, type Statement, sayAs } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import { recordingRefusals } from '../audit/refused.js';
import type { Connection, Context, Member } from '../context.js';
import { afterCommit } from '../database/away.js';
import type { Schema } from '../database/schema.js';
import { noted, noteSigningKey } from './belong.js';

/** What each key said of the next one, oldest first, and where that leads to; `newest` is absent while the first key holds. */
export async function readSuccession(
  connection: Connection,
): Promise<{ readonly statements: readonly Statement[]; readonly newest: string | undefined }> {
  const rows = await connection.selectFrom('successions').select(['statement', 'key']).orderBy('ordinal').execute();
  return { statements: rows.map(({ statement }) => JSON.parse(statement) as Statement), newest: rows.at(-1)?.key };
}

/** The key that the last of them names; one row of the database, whatever their number. */
export async function newestSuccessor(connection: Connection): Promise<string | undefined> {
  const row = await connection.selectFrom('successions').select('key').orderBy('ordinal', 'desc').limit(1).executeTakeFirst();
  return row?.key;
}

/**
 * A new signing key, in use at once. The file of the old one stays where it is, and nothing needs it any more.
 * @throws ALREADY_EXISTS where somebody else has just replaced it
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
    await recordingRefusals(context, entry, () =>
      db.transaction().execute(async (trx) => {
        await refuseFork(trx, previous);
        const time = now();
        const statement = JSON.stringify(sayAs(old, { kind: 'succession', server: serverId, time, next: key }));
        const ordinal = (await readSuccession(trx)).statements.length + 1;
        await trx.insertInto('successions').values({ ordinal, statement, key, created: time }).execute();
        await noteSigningKey(trx, key);
        await audit.append(trx, { ...entry, outcome: 'success', detail: `in the place of ${previous}` });
        written = true;
      }),
    );
  } catch (error) {
    // Only where it is certain that no row names the key: a commit of which no answer came may have been done.
    if (!written) await keys.discard(key);
    throw error;
  }
  await afterCommit(() => keys.reload(db));
  return { key, previous, fingerprint: fingerprintOf(key) };
}

/** A key names one successor: two would be two servers to those who pinned it. */
async function refuseFork(trx: Transaction<Schema>, previous: string): Promise<void> {
  const { signing } = await noted(trx);
  if (signing !== previous)
    throw new ModelGuardError('ALREADY_EXISTS', 'The signing key was replaced just now', {
      advice: 'Look at the key that the server has now, and ask again if it is to be replaced too.',
    });
}
