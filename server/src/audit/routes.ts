/** The audit log, and the rights of those whom it is about. */
import { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import type { Context } from '../context.js';
import { implement } from '../http/implement.js';
import { memberOf } from '../http/member.js';
import { checkpointNow } from './checkpoints.js';
import { eraseUser } from './erasure.js';
import { exportPersonalData } from './personal-data.js';
import { exportLines, queryEvents } from './query.js';
import { recordingRefusals } from './refused.js';

export function registerAudit(app: FastifyInstance, context: Context): void {
  const { audit } = context;

  implement(app, 'auditEvents', ({ caller, query }) => queryEvents(context, memberOf(caller), query));

  implement(app, 'exportAudit', async ({ caller, request, reply }) => {
    // First, so that the export tells of itself.
    await audit.record({ action: 'audit.export', outcome: 'success', caller });
    return (
      reply
        .type('application/jsonl; charset=utf-8')
        .header('content-disposition', 'attachment; filename="audit.jsonl"')
        // HEAD asks whether, not what.
        .send(Readable.from(request.method === 'HEAD' ? [] : exportLines(context), { objectMode: false }))
    );
  });

  implement(app, 'auditCheckpoint', async ({ caller }) => {
    await audit.record({ action: 'audit.checkpoint', outcome: 'success', caller });
    return await checkpointNow(context);
  });

  implement(app, 'exportOwnData', async ({ caller, query }) => {
    const member = memberOf(caller);
    return await exportPersonalData(context, member, member.account.id, query);
  });

  implement(app, 'exportUserData', ({ caller, params: { account }, query }) =>
    recordingRefusals(context, { action: 'subjects.export', resource: `account:${account}`, caller }, () =>
      exportPersonalData(context, memberOf(caller), account, query),
    ),
  );

  implement(app, 'eraseUser', ({ caller, params: { account } }) =>
    recordingRefusals(context, { action: 'subjects.erase', resource: `account:${account}`, caller }, () =>
      eraseUser(context, memberOf(caller), account),
    ),
  );
}
