/** Whether this log is still the one that a client saw: clients send the position that they keep (docs/server-protocol.md, section 6). */
import {
  hex,
  ModelGuardError,
  type RouteAnswer,
  type RouteInput,
  type SigningKey,
  type Statement,
  sayAs,
  statementFingerprint,
} from '@org/model-guard/server-kit';
import type { Connection, Context, Member } from '../context.js';
import { signPosition } from './checkpoints.js';
import { EMPTY_POSITION } from './log.js';
import { recordingRefusals } from './refused.js';

/** An event's number, and the chain's head after it as 96 hex digits. */
export type Position = NonNullable<RouteInput<'takeLease'>['body']['checkpoint']>;

async function holds(connection: Connection, { seq, head }: Position): Promise<boolean> {
  if (seq === 0) return head === hex(EMPTY_POSITION.head);
  const row = await connection.selectFrom('audit').select('head').where('seq', '=', seq).executeTakeFirst();
  return row !== undefined && hex(row.head) === head;
}

/** @throws AUDIT_LOG_ROLLED_BACK where the log does not hold what a client saw */
export async function refuseUnknown(connection: Connection, seen: Position | undefined): Promise<void> {
  if (seen === undefined || (await holds(connection, seen))) return;
  throw new ModelGuardError(
    'AUDIT_LOG_ROLLED_BACK',
    `The audit log of this server does not hold event ${seen.seq} as it was seen`,
  );
}

/** The server's word that its log holds `seen`; {@link refuseUnknown} has found so. */
export const stateHistory = (
  { serverId: server, logId, now }: Context,
  signing: SigningKey,
  { seq, head }: Position,
): Statement => sayAs(signing, { kind: 'history', server, time: now(), logId, seq, head });

/**
 * After a restore: the server's word that its log went on from what it holds now, in the place of one that had reached `lost`. Clients
 * accept it by its fingerprint.
 * @throws INVALID_ARGUMENT if the log holds `lost`: then nothing was lost
 */
export async function stateRestored(context: Context, caller: Member, lost: Position): Promise<RouteAnswer<'stateRestored'>> {
  const { db, audit, keys, serverId: server, logId, now } = context;
  const entry = { action: 'audit.restore', resource: `event:${lost.seq}`, caller } as const;
  return await recordingRefusals(context, entry, () =>
    db.transaction().execute(async (trx) => {
      if (await holds(trx, lost))
        throw new ModelGuardError('INVALID_ARGUMENT', `The log holds event ${lost.seq} with this head: nothing was lost`);
      await audit.append(trx, { ...entry, outcome: 'success', detail: `head ${lost.head} is given up` });
      const checkpoint = await signPosition(context, trx);
      const { key } = await keys.newest(trx);
      const statement = sayAs(key, { kind: 'restored', server, time: now(), logId, lost, checkpoint });
      return { statement, fingerprint: statementFingerprint(statement) };
    }),
  );
}
