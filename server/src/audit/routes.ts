/** The audit log, and the rights of those whom it is about. */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Context } from '../context.js';
import { FairGate } from '../fair-gate.js';
import { implement } from '../http/implement.js';
import { memberOf } from '../http/member.js';
import { WrongField } from '../wrong-field.js';
import { checkpointNow } from './checkpoints.js';
import { eraseUser } from './erasure.js';
import { refuseUnknown, stateHistory, stateRestored } from './history.js';
import { exportPersonalData } from './personal-data.js';
import { exportLines, queryEvents } from './query.js';
import { recordingRefusals } from './refused.js';

const ANSWERS_AT_ONCE = 2;
/** Requests of one account that wait; more are told to come back. */
const WAITING = 4;
/** Exports of the log that one account reads at a time. */
const EXPORTS = 8;

export function registerAudit(app: FastifyInstance, context: Context): void {
  const { audit } = context;
  // Cheap to ask, dear to answer: an account has one of these at a time, and all accounts together a few.
  const answers = new FairGate(ANSWERS_AT_ONCE, WAITING);
  // Of an export each batch takes a turn: a slow reader holds up no other account, and several exports of one account share its turn.
  const batches = new FairGate(ANSWERS_AT_ONCE, EXPORTS);

  implement(app, 'auditEvents', ({ caller, query }) => {
    const member = memberOf(caller);
    return answers.run(member.account.id, () => queryEvents(context, member, query));
  });

  implement(app, 'exportAudit', async ({ caller, request, reply }) => {
    // First, so that the export tells of itself.
    await audit.record({ action: 'audit.export', outcome: 'success', caller });
    const { account } = memberOf(caller);
    const lines = exportLines(context, caller, (task) => batches.run(account.id, task));
    return (
      reply
        .type('application/jsonl; charset=utf-8')
        .header('content-disposition', 'attachment; filename="audit.jsonl"')
        // HEAD asks whether, not what.
        .send(Readable.from(request.method === 'HEAD' ? [] : lines, { objectMode: false }))
    );
  });

  implement(app, 'auditCheckpoint', async ({ caller, query: { seq, head } }) => {
    if ((seq === undefined) !== (head === undefined)) throw new WrongField('head', 'and seq belong together');
    const seen = seq === undefined || head === undefined ? undefined : { seq, head };
    const entry = { action: 'audit.checkpoint', caller } as const;
    await recordingRefusals(context, entry, () => refuseUnknown(context.db, seen));
    await audit.record({ ...entry, outcome: 'success' });
    const checkpoint = await checkpointNow(context);
    return seen
      ? { ...checkpoint, history: stateHistory(context, (await context.keys.newest(context.db)).key, seen) }
      : checkpoint;
  });

  implement(app, 'stateRestored', ({ caller, body }) => stateRestored(context, memberOf(caller), body));

  implement(app, 'exportOwnData', async ({ caller, query }) => {
    const member = memberOf(caller);
    return await answers.run(member.account.id, () => exportPersonalData(context, member, member.account.id, query));
  });

  implement(app, 'exportUserData', ({ caller, params: { account }, query }) => {
    const member = memberOf(caller);
    return recordingRefusals(context, { action: 'subjects.export', resource: `account:${account}`, caller }, () =>
      answers.run(member.account.id, () => exportPersonalData(context, member, account, query)),
    );
  });

  implement(app, 'eraseUser', ({ caller, params: { account } }) =>
    recordingRefusals(context, { action: 'subjects.erase', resource: `account:${account}`, caller }, () =>
      eraseUser(context, memberOf(caller), account),
    ),
  );
}
