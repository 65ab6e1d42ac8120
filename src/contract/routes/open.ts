/** What every server and every caller has in common. */
import { z } from 'zod';
import { list, text } from '../../bounded.js';
import * as s from '../shapes.js';
import { route } from './route.js';

const credentials = z.strictObject({ email: s.email, password: s.anyPassword });
const token = z.object({ token: text(4096), expires: s.seconds, mustChangePassword: z.boolean() });

/** A statement of the most keys, and the same keys beside it. */
const MAX_KEYS_ANSWER = 8 * 1024 * 1024;
const MAX_SUCCESSION = 1000;
/** Bytes of so many statements. */
const MAX_SUCCESSION_ANSWER = 1024 * 1024;

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

  serverKey: route({
    method: 'GET',
    path: '/server/key',
    access: 'open',
    summary: 'Proof that this server has its signing key, for a nonce of the caller',
    query: z.strictObject({ nonce: s.challenge }),
    status: 200,
    response: z.object({ statement: s.statement, succession: list(s.statement, MAX_SUCCESSION) }),
    maxAnswer: MAX_SUCCESSION_ANSWER,
  }),
  server: route({
    method: 'GET',
    path: '/server',
    access: 'server.read',
    summary: 'The keys of this server, signed',
    status: 200,
    response: z.object({ server: s.statement, succession: list(s.statement, MAX_SUCCESSION) }),
    maxAnswer: MAX_SUCCESSION_ANSWER,
  }),
} as const;
