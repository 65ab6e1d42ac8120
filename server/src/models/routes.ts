import { ModelGuardError } from '@org/model-guard/server-kit';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { recordingRefusals } from '../audit/refused.js';
import type { Caller, Context } from '../context.js';
import { networkOf } from '../http/addresses.js';
import { implement } from '../http/implement.js';
import { memberOf } from '../http/member.js';
import { Throttle } from '../http/throttle.js';
import { startModels } from './collecting.js';
import { rejectVersion, releaseVersion, revokeVersion } from './deciding.js';
import { LocalParts, type StoredPart } from './local-parts.js';
import { partPath, partUrls, treePath } from './part-url.js';
import { getPublishers, setPublishers } from './publishers.js';
import { Publishing } from './publishing.js';
import { sendPart, uploadOf } from './transfer.js';
import { getVersion, latestVersion, listVersions } from './versions.js';

/** Models: publishers, parts, versions. */
export function registerModels(app: FastifyInstance, context: Context): void {
  const parts = new LocalParts(context.config);
  let stop = async (): Promise<void> => {};
  app.addHook('onReady', async () => {
    stop = startModels(context);
  });
  app.addHook('onClose', () => stop());
  registerVersions(app, context, new Publishing(context, parts));
  registerUploads(app, context, parts);
  registerDownloads(app, context, parts);
}

function registerVersions(app: FastifyInstance, context: Context, publishing: Publishing): void {
  implement(app, 'getPublishers', ({ caller, params }) => getPublishers(context, memberOf(caller), params.name));
  implement(app, 'setPublishers', ({ caller, params, body }) => setPublishers(context, memberOf(caller), params.name, body.keys));
  implement(app, 'publishVersion', ({ caller, params, body }) => publishing.publish(memberOf(caller), params, body));
  implement(app, 'listVersions', ({ caller, query }) => listVersions(context, memberOf(caller), query));
  implement(app, 'getVersion', ({ caller, params }) => getVersion(context, memberOf(caller), params));
  implement(app, 'latestVersion', ({ caller, params }) => latestVersion(context, memberOf(caller), params.name));
  implement(app, 'releaseVersion', ({ caller, params, body }) =>
    releaseVersion(context, memberOf(caller), params, body.rollback),
  );
  implement(app, 'rejectVersion', ({ caller, params }) => rejectVersion(context, memberOf(caller), params));
  implement(app, 'revokeVersion', ({ caller, params }) => revokeVersion(context, memberOf(caller), params));
}

function registerUploads(app: FastifyInstance, context: Context, parts: LocalParts): void {
  const uploading = async (caller: Caller, part: string, put: () => Promise<void>): Promise<void> => {
    const entry = { action: 'models.upload', resource: `part:${part}`, caller };
    await recordingRefusals(context, entry, put);
    await context.audit.record({ ...entry, outcome: 'success' });
  };
  implement(app, 'putPart', async ({ caller, params: { name, version, part }, request }) => {
    const upload = uploadOf(request);
    await uploading(caller, part, () => parts.put({ name, version }, part, upload));
    return { name: part, size: upload.size };
  });
  implement(app, 'putTree', async ({ caller, params: { name, version, part }, request }) => {
    const upload = uploadOf(request);
    await uploading(caller, `${part}.tree`, () => parts.putTree({ name, version }, part, upload));
  });
}

interface Download {
  readonly caller: Caller;
  readonly request: FastifyRequest;
  /** What was signed. */
  readonly path: string;
  readonly query: { readonly expires: string; readonly signature: string };
  /** Of the part or its tree. */
  readonly name: string;
  readonly find: () => Promise<StoredPart | undefined>;
}

/** Refused downloads of one network that the audit log takes in a minute: anybody can ask. */
const NOTED = 5;
const MINUTE = 60;

function registerDownloads(app: FastifyInstance, context: Context, parts: LocalParts): void {
  const { audit, now } = context;
  const urls = partUrls(context);
  const throttle = new Throttle(NOTED, MINUTE);
  const opened = async ({ caller, request, path, query, name, find }: Download): Promise<StoredPart> => {
    const entry = { action: 'parts.read', resource: `part:${name}`, caller };
    if (!urls.verify(path, Number(query.expires), query.signature)) {
      if (throttle.take(networkOf(request.ip), now()).allowed) await audit.record({ ...entry, outcome: 'denied' });
      throw new ModelGuardError('NOT_AUTHORISED', 'This URL is not one of this server, or is over', {
        advice: 'Take or renew a lease: it brings a new URL.',
      });
    }
    const part = await find();
    await audit.record({ ...entry, outcome: part ? 'success' : 'failure' });
    if (!part) throw new ModelGuardError('NOT_FOUND', `${name} is not here`);
    return part;
  };
  implement(app, 'readPart', async ({ caller, params: { part: name }, query, request, reply }) => {
    const part = await opened({ caller, request, path: partPath(name), query, name, find: () => parts.find(name) });
    return sendPart(request, reply, part, name);
  });
  implement(app, 'readTree', async ({ caller, params: { part }, query, request, reply }) => {
    const name = `${part}.tree`;
    const tree = await opened({ caller, request, path: treePath(part), query, name, find: () => parts.findTree(part) });
    return sendPart(request, reply, tree, name);
  });
}
