/** The keys of the server: listed and rotated. */
import { z } from 'zod';
import { list } from '../../base/schemas.js';
import * as s from '../shapes.js';
import { nothing } from './common.js';
import { MAX_PAGE_ANSWER, route } from './route.js';

/** Seconds. The longest time that publications to a former encryption key are accepted: 31 days. */
export const MAX_ACCEPT_SECONDS = 31 * 86_400;

export const keys = {
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
      /** Publications to the old key are accepted for so long. */
      acceptSeconds: z.int().min(0).max(MAX_ACCEPT_SECONDS).default(86_400),
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
} as const;
