/** Routes of uploads. Each step is recorded. */
import type { FastifyInstance } from 'fastify';
import { confirmRights } from '../accounts/rights.js';
import { recordRefusals } from '../audit/record-refusals.js';
import type { Caller } from '../base/caller.js';
import { memberOf } from '../base/caller.js';
import { implement } from '../http/implement.js';
import type { PartsContext, Recording } from '../parts/parts.js';
import { uploadOf } from '../parts/transfer.js';

/** A step of an upload: the part, and the answer. */
interface UploadStep<T> {
  readonly part: string;
  readonly detail?: string;
  readonly answer: T;
}

export function registerUploads(app: FastifyInstance, context: PartsContext): void {
  const { parts, audit } = context;
  /** `resource` is recorded where the step is refused. */
  const recorded = async <T>(caller: Caller, resource: string, step: () => Promise<UploadStep<T>>): Promise<T> => {
    const entry = { action: 'models.upload', caller } as const;
    const { part, detail, answer } = await recordRefusals(context, { ...entry, resource }, step);
    await audit.record({ ...entry, outcome: 'success', resource: `part:${part}`, detail });
    return answer;
  };

  implement(app, 'beginUpload', ({ caller, params: { name, version, part }, body }) =>
    recorded(caller, `part:${part}`, async () => {
      const answer = await parts.begin(memberOf(caller), { name, version }, part, body.size);
      return { part, answer, detail: answer.kind === 'pieces' ? `begins upload ${answer.upload}` : answer.kind };
    }),
  );
  /** The storage records it in the transaction of the change. */
  const ending = async <T>(caller: Caller, upload: string, verb: string, end: (record: Recording) => Promise<T>): Promise<T> => {
    const entry = { action: 'models.upload', caller } as const;
    const detail = `${verb} upload ${upload}`;
    return await recordRefusals(context, { ...entry, resource: `upload:${upload}` }, () =>
      end((trx, part) => audit.append(trx, { ...entry, outcome: 'success', resource: `part:${part}`, detail })),
    );
  };
  // The end of an upload is recorded, not every URL before it.
  implement(app, 'uploadUrls', ({ caller, params: { upload }, body }) => {
    const entry = { action: 'models.upload', resource: `upload:${upload}`, caller } as const;
    return recordRefusals(context, entry, async () => ({
      urls: await parts.pieceUrls(memberOf(caller), upload, body.numbers),
    }));
  });
  implement(app, 'completeUpload', ({ caller, params: { upload } }) =>
    ending(caller, upload, 'completes', (record) => parts.complete(memberOf(caller), upload, record)),
  );
  implement(app, 'abortUpload', ({ caller, params: { upload } }) =>
    ending(caller, upload, 'gives up', (record) => parts.abort(memberOf(caller), upload, record)),
  );
  implement(app, 'putPart', async ({ caller, params: { name, version, part }, request }) => {
    // The part is stored once its bytes end, which may be hours later.
    const upload = uploadOf(request, () => confirmRights(context.db, caller));
    return await recorded(caller, `part:${part}`, async () => {
      await parts.put(memberOf(caller), { name, version }, part, upload);
      return { part, answer: { name: part, size: upload.size } };
    });
  });
}
