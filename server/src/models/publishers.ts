/** The publishers of a model: the keys that may sign its versions. */
import { fingerprintOf, ModelGuardError, publisherOf, type RouteAnswer } from '@org/model-guard/server-kit';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import type { Ref } from '../parts/parts.js';

type Publishers = RouteAnswer<'getPublishers'>;

/** The keys (`mgs1:…`) registered for a model, in a stable order. */
export async function publishersOf(connection: Connection, name: string): Promise<readonly string[]> {
  const rows = await connection.selectFrom('publishers').select('key').where('name', '=', name).orderBy('key').execute();
  return rows.map(({ key }) => key);
}

/** @throws NOT_AUTHORISED */
export async function registeredPublishers(connection: Connection, name: string): Promise<readonly string[]> {
  const keys = await publishersOf(connection, name);
  if (keys.length > 0) return keys;
  throw new ModelGuardError('NOT_AUTHORISED', `No publisher key is registered for ${name}`, {
    advice: `Check the name, or have an administrator register the keys that may sign it (\`model-guard models publishers ${name} --set …\`).`,
  });
}

/** The publisher that signed it. @throws SIGNATURE_INVALID */
export function signerOf(small: Uint8Array, ref: Ref, publishers: readonly string[]): string {
  const publisher = publisherOf({ small, ref, publishers });
  if (publisher !== undefined) return publisher;
  throw unregisteredKey(ref);
}

/** The error for a version that another key signed. */
export const unregisteredKey = ({ name, version }: Ref): ModelGuardError =>
  new ModelGuardError('SIGNATURE_INVALID', `The key that signed ${name}@${version} is not registered for ${name}`, {
    advice: `Sign with a key that is, or have an administrator register yours (\`model-guard models publishers ${name} --set …\`).`,
  });

export async function getPublishers(context: Context, member: Member, name: string): Promise<Publishers> {
  const keys = await publishersOf(context.db, name);
  await context.audit.record({ action: 'publishers.read', outcome: 'success', resource: `model:${name}`, caller: member });
  return { keys: [...keys] };
}

/**
 * Replaces the keys of a model. Versions that a removed key signed stay, and are not leased any more.
 * @throws KEY_INVALID
 */
export async function setPublishers(
  context: Context,
  member: Member,
  name: string,
  given: readonly string[],
): Promise<Publishers> {
  const keys = [...new Set(given)].sort();
  const entry = { action: 'publishers.set', resource: `model:${name}`, caller: member } as const;
  return await recordRefusals(context, entry, () => {
    const detail = keys.map(fingerprintOf).join(', '); // KEY_INVALID before anything is written
    return context.db.transaction().execute(async (trx) => {
      await trx.deleteFrom('publishers').where('name', '=', name).execute();
      await trx
        .insertInto('publishers')
        .values(keys.map((key) => ({ name, key })))
        .execute();
      await context.audit.append(trx, { ...entry, outcome: 'success', detail });
      return { keys };
    });
  });
}
