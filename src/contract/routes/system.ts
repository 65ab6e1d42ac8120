/** The server itself: health, metrics, and the proof of its signing key. */
import { z } from 'zod';
import { list } from '../../base/schemas.js';
import * as s from '../shapes.js';
import { route } from './route.js';

const MAX_SUCCESSION = 1000;
/** Bytes of so many statements. */
const MAX_SUCCESSION_ANSWER = 1024 * 1024;

export const system = {
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
