/** What every server and every caller has in common. */
import { z } from 'zod';
import * as s from '../shapes.js';
import { route } from './route.js';

const credentials = z.strictObject({ email: s.email, password: s.anyPassword });
const token = z.object({ token: z.string(), expires: s.seconds, mustChangePassword: z.boolean() });

export const open = {
  health: route({
    method: 'GET',
    path: '/health',
    access: 'open',
    summary: 'The process lives',
    status: 200,
    response: z.object({ status: z.literal('ok') }),
  }),
  ready: route({
    method: 'GET',
    path: '/ready',
    access: 'open',
    summary: 'The database answers',
    status: 200,
    response: z.object({ status: z.literal('ready') }),
  }),
  metrics: route({
    method: 'GET',
    path: '/metrics',
    access: 'open',
    summary: 'Prometheus metrics; nothing personal',
    status: 200,
    response: 'text',
  }),
  jwks: route({
    method: 'GET',
    path: '/.well-known/jwks.json',
    access: 'open',
    summary: 'Keys of tokens, and the same as a signed statement',
    status: 200,
    response: z.object({ keys: z.array(z.looseObject({ kid: z.string(), kty: z.string() })), statement: s.statement.optional() }),
  }),
  token: route({
    method: 'POST',
    path: '/auth/token',
    access: 'open',
    summary: 'Log in',
    body: credentials,
    status: 200,
    response: token,
  }),
  login: route({
    method: 'POST',
    path: '/login',
    access: 'open',
    summary: 'Log in (alias)',
    body: credentials,
    status: 200,
    response: token,
  }),

  server: route({
    method: 'GET',
    path: '/server',
    access: 'server.read',
    summary: 'The keys of this server, signed',
    status: 200,
    response: z.object({ server: s.statement, succession: z.array(s.statement) }),
  }),
} as const;
