/** Accounts: the own one, and those of others. */
import { z } from 'zod';
import { countOf, list } from '../../bounded.js';
import * as s from '../shapes.js';
import { MAX_PAGE_ANSWER, route } from './route.js';

const ofAccount = z.strictObject({ account: s.id });
/** Devices, entitlements, leases and events of one page, together. */
const MAX_ENTRIES = 500;
const ofEntries = z.strictObject({ cursor: s.cursor.optional(), limit: countOf(1, MAX_ENTRIES).default(200) });
const personalData = z.object({
  account: s.account,
  devices: list(s.device, MAX_ENTRIES),
  entitlements: list(s.entitlement, MAX_ENTRIES),
  leases: list(s.lease, MAX_ENTRIES),
  events: list(s.auditEvent, MAX_ENTRIES),
  /** Absent on the last page. */ next: s.cursor.optional(),
});

export const people = {
  account: route({
    method: 'GET',
    path: '/account',
    access: 'account.self',
    summary: 'Own account',
    status: 200,
    response: s.account,
  }),
  changePassword: route({
    method: 'POST',
    path: '/account/password',
    access: 'account.self',
    summary: 'Change the own password',
    body: z.strictObject({ current: s.anyPassword, next: s.newPassword }),
    secretBody: true,
    status: 204,
  }),
  exportOwnData: route({
    method: 'GET',
    path: '/account/data',
    access: 'account.self',
    summary: 'Everything that is stored about oneself',
    query: ofEntries,
    status: 200,
    response: personalData,
    maxAnswer: MAX_PAGE_ANSWER,
  }),

  listUsers: route({
    method: 'GET',
    path: '/users',
    access: 'users.manage',
    summary: 'Accounts',
    query: z.strictObject(s.page),
    status: 200,
    response: s.paged(s.account),
    maxAnswer: MAX_PAGE_ANSWER,
  }),
  createUser: route({
    method: 'POST',
    path: '/users',
    access: 'users.manage',
    summary: 'New account',
    body: z.strictObject({
      email: s.email,
      password: s.newPassword,
      role: s.role,
      name: s.label.optional(),
      address: s.label.optional(),
      /** Before anything else is done with the account. */ mustChange: z.boolean().default(false),
    }),
    secretBody: true,
    status: 201,
    response: s.account,
  }),
  getUser: route({
    method: 'GET',
    path: '/users/:account',
    access: 'users.manage',
    summary: 'One account',
    params: ofAccount,
    status: 200,
    response: s.account,
  }),
  updateUser: route({
    method: 'PATCH',
    path: '/users/:account',
    access: 'users.manage',
    summary: 'Role, name, password; disable or enable',
    params: ofAccount,
    body: z.strictObject({
      role: s.role.optional(),
      disabled: z.boolean().optional(),
      name: s.label.optional(),
      address: s.label.optional(),
      password: s.newPassword.optional(),
      mustChange: z.boolean().optional(),
    }),
    secretBody: true,
    status: 200,
    response: s.account,
  }),
  resetUserPassword: route({
    method: 'POST',
    path: '/users/:account/password',
    access: 'users.manage',
    summary: 'A one-time password, which its owner must change first',
    params: ofAccount,
    body: z.strictObject({ password: s.newPassword }),
    secretBody: true,
    status: 200,
    response: s.account,
  }),
  exportUserData: route({
    method: 'GET',
    path: '/users/:account/data',
    access: 'subjects.manage',
    summary: 'Everything that is stored about somebody',
    params: ofAccount,
    query: ofEntries,
    status: 200,
    response: personalData,
    maxAnswer: MAX_PAGE_ANSWER,
  }),
  eraseUser: route({
    method: 'DELETE',
    path: '/users/:account',
    access: 'subjects.manage',
    summary: 'Erase an account and the personal data about it',
    params: ofAccount,
    status: 204,
  }),
} as const;
