import type { FastifyInstance } from 'fastify';
import { memberOf } from '../base/caller.js';
import type { Context } from '../context.js';
import { implement } from '../http/implement.js';
import { createEntitlement, deleteEntitlement, listEntitlements } from './entitlements.js';

/** Routes of entitlements. */
export function registerEntitlements(app: FastifyInstance, context: Context): void {
  implement(app, 'listEntitlements', ({ caller, query }) => listEntitlements(context, memberOf(caller), query));
  implement(app, 'createEntitlement', ({ caller, body }) => createEntitlement(context, memberOf(caller), body));
  implement(app, 'deleteEntitlement', ({ caller, params }) => deleteEntitlement(context, memberOf(caller), params.entitlement));
}
