/** Keys of subjects. Each subject has a key of its own, and is erased by destroying it (docs/server-protocol.md, section 6). */
import { randomBytes } from 'node:crypto';
import type { FieldCipher } from '@org/model-guard/server-kit';
import type { Transaction } from 'kysely';
import type { Connection } from '../database/connection.js';
import type { Schema } from '../database/schema.js';

/** A subject and its wrapped key. */
export interface Subject {
  readonly id: string;
  readonly wrapped: Buffer;
}

const DAY = 86_400;
/** `YYYY-MM-DD`, UTC. */
const dayOf = (seconds: number): string => new Date(seconds * 1000).toISOString().slice(0, 10);

/** The subject of unknown callers: one a day, destroyed after the retention time. */
export async function daySubject(trx: Transaction<Schema>, fields: FieldCipher, now: number): Promise<Subject> {
  const day = dayOf(now);
  const known = await trx.selectFrom('subjects').select(['id', 'wrapped']).where('day', '=', day).executeTakeFirst();
  if (known) return known;
  const id = randomBytes(16).toString('hex');
  const subject = { id, wrapped: Buffer.from(fields.newKey(id)) };
  await trx
    .insertInto('subjects')
    .values({ ...subject, kind: 'day', day, created: now })
    .execute();
  return subject;
}

/** Undefined once it is erased. */
export const findSubject = (connection: Connection, id: string): Promise<Subject | undefined> =>
  connection.selectFrom('subjects').select(['id', 'wrapped']).where('id', '=', id).executeTakeFirst();

/** Destroys the keys of days that ended more than `days` days ago. Returns these keys, wrapped. */
export async function forgetDays(trx: Transaction<Schema>, days: number, now: number): Promise<Buffer[]> {
  const gone = await trx
    .deleteFrom('subjects')
    .where('kind', '=', 'day')
    .where('day', '<', dayOf(now - days * DAY))
    .returning('wrapped')
    .execute();
  return gone.map(({ wrapped }) => wrapped);
}
