/** Leases: taken by devices, listed and revoked by administrators. */
import { z } from 'zod';
import * as s from '../shapes.js';
import { challenged, nothing, proven } from './common.js';
import { MAX_PAGE_ANSWER, route } from './route.js';

/** The largest small part, in base64url, and what comes with it. */
const MAX_GRANT_ANSWER = 25 * 1024 * 1024;

export const leases = {
  challengeLease: route({
    method: 'POST',
    path: '/leases/challenge',
    access: 'leases.take',
    summary: 'Begin a lease or an unlock',
    body: nothing,
    status: 200,
    response: challenged,
  }),
  takeLease: route({
    method: 'POST',
    path: '/leases',
    access: 'leases.take',
    summary: 'A small part for an approved device',
    proof: 'lease-request',
    body: z.strictObject({
      ...proven,
      name: s.modelName,
      version: s.modelName.optional(),
      /** Ordinal: an older version is refused, before anything changes. */
      atLeast: z.int().min(1).optional(),
      seconds: z.int().min(1).max(31_622_400).optional(),
    }),
    status: 201,
    response: s.grant,
    maxAnswer: MAX_GRANT_ANSWER,
  }),
  listLeases: route({
    method: 'GET',
    path: '/leases',
    access: 'leases.manage',
    summary: 'Leases',
    query: z.strictObject({
      ...s.page,
      device: s.id.optional(),
      name: s.modelName.optional(),
      active: z.enum(['true', 'false']).optional(),
    }),
    status: 200,
    response: s.paged(s.lease),
    maxAnswer: MAX_PAGE_ANSWER,
  }),
  revokeLease: route({
    method: 'DELETE',
    path: '/leases/:lease',
    access: 'leases.manage',
    summary: 'Revoke a lease and free its seat',
    params: z.strictObject({ lease: s.id }),
    status: 204,
  }),
} as const;
