/** Checks that this log still holds the position that a client has seen (docs/server-protocol.md, section 6). */
import {
  hex,
  ModelGuardError,
  type RouteAnswer,
  type RouteInput,
  type SigningKey,
  type Statement,
  signAs,
  statementFingerprint,
} from '@org/model-guard/server-kit';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import type { Connection } from '../database/connection.js';
import { signPosition } from './checkpoints.js';
import { EMPTY_POSITION } from './log.js';
import { recordRefusals } from './record-refusals.js';

/** An event's number, and the chain's head after it as 96 hex digits. */
export type Position = NonNullable<RouteInput<'takeLease'>['body']['checkpoint']>;

async function holds(connection: Connection, { seq, head }: Position): Promise<boolean> {
  if (seq === 0) return head === hex(EMPTY_POSITION.head);
  const row = await connection.selectFrom('audit').select('head').where('seq', '=', seq).executeTakeFirst();
  return row !== undefined && hex(row.head) === head;
}

/** @throws AUDIT_LOG_ROLLED_BACK where the log does not hold the position that a client saw */
export async function refuseUnknown(connection: Connection, seen: Position | undefined): Promise<void> {
  if (seen === undefined || (await holds(connection, seen))) return;
  throw new ModelGuardError(
    'AUDIT_LOG_ROLLED_BACK',
    `The audit log of this server does not hold event ${seen.seq} as it was seen`,
  );
}

/** Signs that the log holds `seen`, after {@link refuseUnknown} has found it. */
export const signHistory = ({ serverId: server, logId, now }: Context, signing: SigningKey, { seq, head }: Position): Statement =>
  signAs(signing, { kind: 'history', server, time: now(), logId, seq, head });

/**
 * After a restore: signs that this log continues from its present position in place of a log that had reached `lost`. Clients
 * accept the statement by its fingerprint.
 * @throws INVALID_ARGUMENT if the log holds `lost`: then nothing was lost
 */
export async function stateRestored(context: Context, caller: Member, lost: Position): Promise<RouteAnswer<'stateRestored'>> {
  const { db, audit, keys, serverId: server, logId, now } = context;
  const entry = { action: 'audit.restore', resource: `event:${lost.seq}`, caller } as const;
  return await recordRefusals(context, entry, () =>
    db.transaction().execute(async (trx) => {
      if (await holds(trx, lost))
        throw new ModelGuardError('INVALID_ARGUMENT', `The log holds event ${lost.seq} with this head: nothing was lost`);
      await audit.append(trx, { ...entry, outcome: 'success', detail: `head ${lost.head} is given up` });
      const checkpoint = await signPosition(context, trx);
      const { key } = await keys.newest(trx);
      const statement = signAs(key, { kind: 'restored', server, time: now(), logId, lost, checkpoint });
      return { statement, fingerprint: statementFingerprint(statement) };
    }),
  );
}
