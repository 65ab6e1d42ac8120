/** The server's keys and its audit log. */
import { z } from 'zod';
import { countOf, list, text } from '../../bounded.js';
import * as s from '../shapes.js';
import { nothing } from './common.js';
import { MAX_PAGE_ANSWER, route } from './route.js';

export const operations = {
  keys: route({
    method: 'GET',
    path: '/keys',
    access: 'keys.read',
    summary: 'Encryption keys and rotations',
    status: 200,
    response: z.object({ keys: list(s.serverKey, 10_000), rotations: list(s.rotation, 10_000) }),
    maxAnswer: MAX_PAGE_ANSWER,
  }),
  rotateKeys: route({
    method: 'POST',
    path: '/keys/rotate',
    access: 'keys.rotate',
    summary: 'Re-wrap every small part to a new encryption key',
    body: z.strictObject({
      /** Publications to the old key are accepted for so long. */ acceptSeconds: z.int().min(0).max(2_678_400).default(86_400),
    }),
    status: 202,
    response: s.rotation,
  }),
  rotateSigningKey: route({
    method: 'POST',
    path: '/keys/rotate-signing',
    access: 'keys.rotate',
    summary: 'Replace the signing key by one that the old one signs',
    body: nothing,
    status: 200,
    response: z.object({ key: s.verifyingKey, previous: s.verifyingKey, /** Of the new one. */ fingerprint: s.fingerprint }),
  }),
  getRotation: route({
    method: 'GET',
    path: '/keys/rotations/:rotation',
    access: 'keys.read',
    summary: 'How far a rotation is',
    params: z.strictObject({ rotation: s.id }),
    status: 200,
    response: s.rotation,
  }),

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
