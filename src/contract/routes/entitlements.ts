/** Entitlements: which account may load which model. */
import { z } from 'zod';
import * as s from '../shapes.js';
import { MAX_PAGE_ANSWER, route } from './route.js';

export const entitlements = {
  listEntitlements: route({
    method: 'GET',
    path: '/entitlements',
    access: 'entitlements.manage',
    summary: 'Who may load and unlock what',
    query: z.strictObject({ ...s.page, account: s.id.optional(), name: s.modelName.optional() }),
    status: 200,
    response: s.paged(s.entitlement),
    maxAnswer: MAX_PAGE_ANSWER,
  }),
  createEntitlement: route({
    method: 'POST',
    path: '/entitlements',
    access: 'entitlements.manage',
    summary: 'Let an account, or one of its devices, load a model or unlock an archive',
    body: z.strictObject({
      kind: s.resourceKind.default('model'),
      name: s.modelName,
      account: s.id,
      device: s.id.optional(),
      ...s.terms,
    }),
    status: 201,
    response: s.entitlement,
  }),
  deleteEntitlement: route({
    method: 'DELETE',
    path: '/entitlements/:entitlement',
    access: 'entitlements.manage',
    summary: 'Take it back; its leases are revoked',
    params: z.strictObject({ entitlement: s.id }),
    status: 204,
  }),
} as const;
