/** Big parts, read by signed URLs. */
import { z } from 'zod';
import { matching } from '../../base/schemas.js';
import * as s from '../shapes.js';
import { route } from './route.js';

const signed = {
  params: z.strictObject({ part: s.partName }),
  query: z.strictObject({ expires: matching(12, /^[0-9]{1,12}$/, 'a time'), signature: s.base64url(48) }),
};

export const parts = {
  readPart: route({
    method: 'GET',
    path: '/parts/:part',
    access: 'signed-url',
    summary: 'A big part, whole or a range',
    ...signed,
    status: 200,
    response: 'octets',
  }),
  readTree: route({
    method: 'GET',
    path: '/parts/:part/tree',
    access: 'signed-url',
    summary: 'The tree of a big part',
    ...signed,
    status: 200,
    response: 'octets',
  }),
} as const;
