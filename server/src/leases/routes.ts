import type { FastifyInstance } from 'fastify';
import type { Context } from '../context.js';
import { beginProof } from '../devices/proven.js';
import { implement } from '../http/implement.js';
import { memberOf } from '../http/member.js';
import { createEntitlement, deleteEntitlement, listEntitlements } from './entitlements.js';
import { Leasing } from './granting.js';
import { listLeases, revokeLease } from './leases.js';

/** Leases: entitlements, challenges, small parts for devices. */
export function registerLeases(app: FastifyInstance, context: Context): void {
  const leasing = new Leasing(context);
  implement(app, 'listEntitlements', ({ caller, query }) => listEntitlements(context, memberOf(caller), query));
  implement(app, 'createEntitlement', ({ caller, body }) => createEntitlement(context, memberOf(caller), body));
  implement(app, 'deleteEntitlement', ({ caller, params }) => deleteEntitlement(context, memberOf(caller), params.entitlement));
  implement(app, 'challengeLease', ({ caller }) => beginProof(context, memberOf(caller)));
  implement(app, 'takeLease', ({ caller, body, raw, proof }) => leasing.take(memberOf(caller), body, { raw, proof }));
  implement(app, 'listLeases', ({ caller, query }) => listLeases(context, memberOf(caller), query));
  implement(app, 'revokeLease', ({ caller, params }) => revokeLease(context, memberOf(caller), params.lease));
}
