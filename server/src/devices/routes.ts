import type { FastifyInstance } from 'fastify';
import { memberOf } from '../base/caller.js';
import type { Context } from '../context.js';
import { inBatches } from '../database/batches.js';
import { implement } from '../http/implement.js';
import { forgetChallenges } from './challenges.js';
import { approveDevice, getDevice, listDevices, revokeDevice } from './devices.js';
import { beginEnrolment, enrol } from './enrolment.js';

/** Routes of devices. */
export function registerDevices(app: FastifyInstance, context: Context): void {
  const { cleanup, db, now } = context;
  cleanup.add(() => inBatches(db, (trx, limit) => forgetChallenges(trx, now(), limit)));
  implement(app, 'challengeDevice', ({ caller, body }) => beginEnrolment(context, memberOf(caller), body.publicKey));
  implement(app, 'enrollDevice', ({ caller, body, raw, proof }) => enrol(context, memberOf(caller), body, { raw, proof }));
  implement(app, 'listDevices', ({ caller, query }) => listDevices(context, memberOf(caller), query));
  implement(app, 'getDevice', ({ caller, params }) => getDevice(context, memberOf(caller), params.device));
  implement(app, 'approveDevice', ({ caller, params, body }) =>
    approveDevice(context, memberOf(caller), params.device, body.fingerprint),
  );
  implement(app, 'revokeDevice', ({ caller, params }) => revokeDevice(context, memberOf(caller), params.device));
}
