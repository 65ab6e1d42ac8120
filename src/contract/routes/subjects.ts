/** Data subjects: what is stored about a person, to export and to erase. */
import { z } from 'zod';
import { countOf, list } from '../../base/schemas.js';
import * as s from '../shapes.js';
import { ofAccount } from './common.js';
import { MAX_PAGE_ANSWER, route } from './route.js';

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

export const subjects = {
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
  exportUserData: route({
    method: 'GET',
    path: '/users/:account/data',
    access: 'subjects.manage',
    summary: 'Everything that is stored about a person',
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
