import type { FastifyInstance } from 'fastify';
import { memberOf } from '../base/caller.js';
import { implement } from '../http/implement.js';
import type { PartsContext } from '../parts/parts.js';
import { getPublishers, setPublishers } from './publishers.js';
import { rejectVersion, releaseVersion, revokeVersion } from './review.js';
import { VersionPublisher } from './version-publisher.js';
import { getVersion, latestVersion, listVersions } from './versions.js';

/** Routes of publishers and versions. */
export function registerModels(app: FastifyInstance, context: PartsContext): void {
  const publishing = new VersionPublisher(context);
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
