/** Big parts on their way in: each step is written down. */
import type { FastifyInstance } from 'fastify';
import { confirmRights } from '../accounts/rights.js';
import { recordingRefusals } from '../audit/refused.js';
import type { Caller, Context } from '../context.js';
import { implement } from '../http/implement.js';
import { memberOf } from '../http/member.js';
import type { Recording } from './parts.js';
import { uploadOf } from './transfer.js';

/** What was done, and to which part. */
interface Step<T> {
  readonly part: string;
  readonly detail?: string;
  readonly answer: T;
}

export function registerUploads(app: FastifyInstance, context: Context): void {
  const { parts, audit } = context;
  /** `resource`: what it was asked of, where it is refused. */
  const recorded = async <T>(caller: Caller, resource: string, step: () => Promise<Step<T>>): Promise<T> => {
    const entry = { action: 'models.upload', caller } as const;
    const { part, detail, answer } = await recordingRefusals(context, { ...entry, resource }, step);
    await audit.record({ ...entry, outcome: 'success', resource: `part:${part}`, detail });
    return answer;
  };

  implement(app, 'beginUpload', ({ caller, params: { name, version, part }, body }) =>
    recorded(caller, `part:${part}`, async () => {
      const answer = await parts.begin(memberOf(caller), { name, version }, part, body.size);
      return { part, answer, detail: answer.kind === 'pieces' ? `begins upload ${answer.upload}` : answer.kind };
    }),
  );
  /** Recorded by whoever does it, together with it. */
  const ending = async <T>(caller: Caller, upload: string, verb: string, end: (record: Recording) => Promise<T>): Promise<T> => {
    const entry = { action: 'models.upload', caller } as const;
    const detail = `${verb} upload ${upload}`;
    return await recordingRefusals(context, { ...entry, resource: `upload:${upload}` }, () =>
      end((trx, part) => audit.append(trx, { ...entry, outcome: 'success', resource: `part:${part}`, detail })),
    );
  };
  // The end of an upload is written down, not every address on the way.
  implement(app, 'uploadUrls', ({ caller, params: { upload }, body }) => {
    const entry = { action: 'models.upload', resource: `upload:${upload}`, caller } as const;
    return recordingRefusals(context, entry, async () => ({
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
