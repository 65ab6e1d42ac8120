import type { FastifyInstance } from 'fastify';
import { memberOf } from '../base/caller.js';
import { inBatches } from '../database/batches.js';
import { beginProof } from '../devices/device-proof.js';
import { implement } from '../http/implement.js';
import type { PartsContext } from '../parts/parts.js';
import { LeaseIssuer } from './lease-issuer.js';
import { forgetLeases, forgetSuperseded, freeEndedSeats, listLeases, revokeLease } from './leases.js';

/** Routes of leases. */
export function registerLeases(app: FastifyInstance, context: PartsContext): void {
  const { cleanup, db, now } = context;
  for (const change of [forgetLeases, forgetSuperseded, freeEndedSeats])
    cleanup.add(() => inBatches(db, (trx, limit) => change(trx, now(), limit)));
  const leasing = new LeaseIssuer(context);
  implement(app, 'challengeLease', ({ caller }) => beginProof(context, memberOf(caller)));
  implement(app, 'takeLease', ({ caller, body, raw, proof }) => leasing.take(memberOf(caller), body, { raw, proof }));
  implement(app, 'listLeases', ({ caller, query }) => listLeases(context, memberOf(caller), query));
  implement(app, 'revokeLease', ({ caller, params }) => revokeLease(context, memberOf(caller), params.lease));
}
