/** Downloads of big parts by URLs that this server has signed. */
import { ModelGuardError } from '@org/model-guard/server-kit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../base/caller.js';
import { implement } from '../http/implement.js';
import { startCollection } from './collect.js';
import { LocalParts, type StoredFile } from './local-parts.js';
import { partUrls } from './part-url.js';
import type { PartsContext } from './parts.js';
import { treeOf } from './parts.js';
import { sendPart } from './transfer.js';

interface Download {
  readonly caller: Caller;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly query: { readonly expires: string; readonly signature: string };
}

export function registerParts(app: FastifyInstance, context: PartsContext): void {
  const { audit, parts } = context;
  let stop = async (): Promise<void> => {};
  app.addHook('onReady', async () => {
    stop = startCollection(context);
  });
  app.addHook('onClose', async () => {
    await stop();
    parts.close();
  });
  const urls = partUrls(context);

  const send = async (
    { caller, request, reply, query }: Download,
    object: string,
    find: (files: LocalParts) => Promise<StoredFile | undefined>,
  ): Promise<FastifyReply> => {
    const entry = { action: 'parts.read', resource: `part:${object}`, caller } as const;
    if (!urls.verify(object, Number(query.expires), query.signature)) {
      await audit.record({ ...entry, outcome: 'denied' });
      throw new ModelGuardError('NOT_AUTHORISED', 'This URL is not one of this server, or is over', {
        advice: 'Take or renew a lease: it brings a new URL.',
      });
    }
    const file = parts instanceof LocalParts ? await find(parts) : undefined;
    await audit.record({ ...entry, outcome: file ? 'success' : 'failure' });
    if (file) return await sendPart(request, reply, file, object);
    throw parts instanceof LocalParts
      ? new ModelGuardError('NOT_FOUND', `${object} is not here`)
      : new ModelGuardError('NOT_FOUND', 'The big parts of this server are in a bucket', {
          advice: 'Take or renew a lease: its URL leads there.',
        });
  };

  implement(app, 'readPart', (download) => {
    const { part } = download.params;
    return send(download, part, (files) => files.find(part));
  });
  implement(app, 'readTree', (download) => {
    const { part } = download.params;
    return send(download, treeOf(part), (files) => files.findTree(part));
  });
}
