/** The audit log: queried, exported, and its checkpoints. */
import { z } from 'zod';
import { countOf, text } from '../../base/schemas.js';
import * as s from '../shapes.js';
import { MAX_PAGE_ANSWER, route } from './route.js';

export const audit = {
  auditEvents: route({
    method: 'GET',
    path: '/audit/events',
    access: 'audit.read',
    summary: 'Query the audit log',
    query: z.strictObject({
      ...s.page,
      action: s.auditActionFilter.optional(),
      outcome: s.outcome.optional(),
      account: s.id.optional(),
      resource: text(300).optional(),
      since: s.secondsInQuery.optional(),
      until: s.secondsInQuery.optional(),
    }),
    status: 200,
    response: s.paged(s.auditEvent),
    maxAnswer: MAX_PAGE_ANSWER,
  }),
  exportAudit: route({
    method: 'GET',
    path: '/audit/export',
    access: 'audit.read',
    summary: 'The stored bytes of all events, a line each',
    status: 200,
    response: 'lines',
  }),
  auditCheckpoint: route({
    method: 'GET',
    path: '/audit/checkpoint',
    access: 'audit.read',
    summary: 'A signed checkpoint of now',
    /** Both, or neither: the position that the client keeps. */
    query: z.strictObject({
      seq: countOf(0, Number.MAX_SAFE_INTEGER).optional(),
      head: s.auditPosition.shape.head.optional(),
    }),
    status: 200,
    response: s.checkpoint.extend({ history: s.statement.optional() }),
  }),
  stateRestored: route({
    method: 'POST',
    path: '/audit/restored',
    access: 'audit.restore',
    summary: 'After a restore: a statement that clients which saw the lost log accept by its fingerprint',
    /** The newest position that was lost. */
    body: s.auditPosition,
    status: 200,
    response: z.object({ statement: s.statement, fingerprint: s.fingerprint }),
  }),
} as const;
