/** Routes that export and erase the data of an account. */
import type { FastifyInstance } from 'fastify';
import { recordRefusals } from '../audit/record-refusals.js';
import { memberOf } from '../base/caller.js';
import type { Context } from '../context.js';
import { implement } from '../http/implement.js';
import type { FairQueue } from '../limits/fair-queue.js';
import { eraseUser } from './erasure.js';
import { exportPersonalData } from './personal-data.js';

/** @param answers The queue that exports wait in, which queries of the audit log share. */
export function registerSubjects(app: FastifyInstance, context: Context, answers: FairQueue): void {
  implement(app, 'exportOwnData', async ({ caller, query }) => {
    const member = memberOf(caller);
    return await answers.run(member.account.id, () => exportPersonalData(context, member, member.account.id, query));
  });

  implement(app, 'exportUserData', ({ caller, params: { account }, query }) => {
    const member = memberOf(caller);
    return recordRefusals(context, { action: 'subjects.export', resource: `account:${account}`, caller }, () =>
      answers.run(member.account.id, () => exportPersonalData(context, member, account, query)),
    );
  });

  implement(app, 'eraseUser', ({ caller, params: { account } }) =>
    recordRefusals(context, { action: 'subjects.erase', resource: `account:${account}`, caller }, () =>
      eraseUser(context, memberOf(caller), account),
    ),
  );
}
