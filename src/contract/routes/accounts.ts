/** Logging in, the own account, and accounts of others. */
import { z } from 'zod';
import { list, text } from '../../base/schemas.js';
import * as s from '../shapes.js';
import { ofAccount } from './common.js';
import { MAX_PAGE_ANSWER, route } from './route.js';

const credentials = z.strictObject({ email: s.email, password: s.anyPassword });
const token = z.object({ token: text(4096), expires: s.seconds, mustChangePassword: z.boolean() });
/** A statement of the most keys, and the same keys beside it. */
const MAX_KEYS_ANSWER = 8 * 1024 * 1024;

export const accounts = {
  jwks: route({
    method: 'GET',
    path: '/.well-known/jwks.json',
    access: 'open',
    summary: 'Keys of tokens, and the same as a signed statement',
    status: 200,
    maxAnswer: MAX_KEYS_ANSWER,
    response: z.object({ keys: list(s.webKey, s.MAX_WEB_KEYS), statement: s.keysStatement.optional() }),
  }),
  token: route({
    method: 'POST',
    path: '/auth/token',
    access: 'open',
    summary: 'Log in',
    body: credentials,
    secretBody: true,
    status: 200,
    response: token,
  }),
  login: route({
    method: 'POST',
    path: '/login',
    access: 'open',
    summary: 'Log in (alias)',
    body: credentials,
    secretBody: true,
    status: 200,
    response: token,
  }),
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
  findUser: route({
    // Not a GET: addresses would stand in the logs of every proxy on the way.
    method: 'POST',
    path: '/users/find',
    access: 'users.find',
    summary: 'The account that has an e-mail address',
    body: z.strictObject({ email: s.email }),
    status: 200,
    response: ofAccount,
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
} as const;
