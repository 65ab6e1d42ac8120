/** Routes of the audit log. */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import { type Caller, memberOf } from '../base/caller.js';
import { FieldError } from '../base/field-error.js';
import type { Context } from '../context.js';
import { implement } from '../http/implement.js';
import { FairQueue } from '../limits/fair-queue.js';
import { checkpointNow } from './checkpoints.js';
import { refuseUnknown, signHistory, stateRestored } from './history.js';
import type { FindEmails } from './open-events.js';
import { exportLines, queryEvents } from './query.js';
import { recordRefusals } from './record-refusals.js';
import { deleteExpiredKeys } from './retention.js';

const ANSWERS_AT_ONCE = 2;
/** Requests of one account that wait; further ones get RATE_LIMITED. */
const WAITING = 4;
/** Exports of the log that one account reads at a time. */
const EXPORTS = 8;

/** The queue of answers that are cheap to request and expensive to make: one at a time for an account, a few for all accounts. */
export const makeAnswerQueue = (): FairQueue => new FairQueue(ANSWERS_AT_ONCE, WAITING);

/** Functions of other rooms that the routes of the log use. */
export interface AuditDependencies {
  readonly answers: FairQueue;
  readonly findEmails: FindEmails;
  /** @throws NOT_AUTHENTICATED, NOT_AUTHORISED once the rights of the caller have ended */
  readonly readRights: (caller: Caller) => Promise<unknown>;
}

export function registerAudit(
  app: FastifyInstance,
  context: Context,
  { answers, findEmails, readRights }: AuditDependencies,
): void {
  const { audit, cleanup } = context;
  cleanup.add(() => audit.settle());
  cleanup.add(() => deleteExpiredKeys(context));
  // Each batch of an export takes a turn: a slow reader delays no other account, and several exports of one account share its
  // turn.
  const batches = new FairQueue(ANSWERS_AT_ONCE, EXPORTS);

  implement(app, 'auditEvents', ({ caller, query }) => {
    const member = memberOf(caller);
    return answers.run(member.account.id, () => queryEvents(context, findEmails, member, query));
  });

  implement(app, 'exportAudit', async ({ caller, request, reply }) => {
    // First, so that the export holds its own event.
    await audit.record({ action: 'audit.export', outcome: 'success', caller });
    const { account } = memberOf(caller);
    const lines = exportLines(
      context,
      () => readRights(caller),
      (task) => batches.run(account.id, task),
    );
    return (
      reply
        .type('application/jsonl; charset=utf-8')
        .header('content-disposition', 'attachment; filename="audit.jsonl"')
        // HEAD needs the headers only.
        .send(Readable.from(request.method === 'HEAD' ? [] : lines, { objectMode: false }))
    );
  });

  implement(app, 'auditCheckpoint', async ({ caller, query: { seq, head } }) => {
    if ((seq === undefined) !== (head === undefined)) throw new FieldError('head', 'and seq belong together');
    const seen = seq === undefined || head === undefined ? undefined : { seq, head };
    const entry = { action: 'audit.checkpoint', caller } as const;
    await recordRefusals(context, entry, () => refuseUnknown(context.db, seen));
    await audit.record({ ...entry, outcome: 'success' });
    const checkpoint = await checkpointNow(context);
    return seen
      ? { ...checkpoint, history: signHistory(context, (await context.keys.newest(context.db)).key, seen) }
      : checkpoint;
  });

  implement(app, 'stateRestored', ({ caller, body }) => stateRestored(context, memberOf(caller), body));
}
