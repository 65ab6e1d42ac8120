import type { FastifyInstance } from 'fastify';
import type { Context } from '../context.js';
import { implement } from '../http/implement.js';
import { memberOf } from '../http/member.js';
import { startModels } from './collecting.js';
import { rejectVersion, releaseVersion, revokeVersion } from './deciding.js';
import { registerDownloads } from './downloading.js';
import { getPublishers, setPublishers } from './publishers.js';
import { Publishing } from './publishing.js';
import { registerUploads } from './uploading.js';
import { getVersion, latestVersion, listVersions } from './versions.js';

/** Models: publishers, parts, versions. */
export function registerModels(app: FastifyInstance, context: Context): void {
  let stop = async (): Promise<void> => {};
  app.addHook('onReady', async () => {
    stop = startModels(context);
  });
  app.addHook('onClose', async () => {
    await stop();
    context.parts.close();
  });
  registerVersions(app, context, new Publishing(context));
  registerUploads(app, context);
  registerDownloads(app, context);
}

function registerVersions(app: FastifyInstance, context: Context, publishing: Publishing): void {
  implement(app, 'getPublishers', ({ caller, params }) => getPublishers(context, memberOf(caller), params.name));
  implement(app, 'setPublishers', ({ caller, params, body }) => setPublishers(context, memberOf(caller), params.name, body.keys));
  implement(app, 'publishVersion', ({ caller, params, body }) => publishing.publish(memberOf(caller), params, body));
  implement(app, 'listVersions', ({ caller, query }) => listVersions(context, memberOf(caller), query));
  implement(app, 'getVersion', ({ caller, params }) => getVersion(context, memberOf(caller), params));
  implement(app, 'latestVersion', ({ caller, params }) => latestVersion(context, memberOf(caller), params.name));
  implement(app, 'releaseVersion', ({ caller, params, body }) => releaseVersion(context, memberOf(caller), params, body));
  implement(app, 'rejectVersion', ({ caller, params, body }) => rejectVersion(context, memberOf(caller), params, body.payloadId));
  implement(app, 'revokeVersion', ({ caller, params, body }) => revokeVersion(context, memberOf(caller), params, body.payloadId));
}
