import type { FastifyInstance } from 'fastify';
import { memberOf } from '../base/caller.js';
import type { Context } from '../context.js';
import { implement } from '../http/implement.js';
import { deleteArchive, getArchive, listArchives, registerArchive, unlockArchive } from './archives.js';

/** Routes of archives. */
export function registerArchives(app: FastifyInstance, context: Context): void {
  implement(app, 'registerArchive', ({ caller, body }) => registerArchive(context, memberOf(caller), body));
  implement(app, 'listArchives', ({ caller, query }) => listArchives(context, memberOf(caller), query));
  implement(app, 'getArchive', ({ caller, params }) => getArchive(context, memberOf(caller), params.name));
  implement(app, 'deleteArchive', ({ caller, params }) => deleteArchive(context, memberOf(caller), params.name));
  implement(app, 'unlockArchive', ({ caller, params, body, raw, proof }) =>
    unlockArchive(context, memberOf(caller), params.name, { ...body, raw, proof }),
  );
}
