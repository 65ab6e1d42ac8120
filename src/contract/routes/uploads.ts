/** Big parts on their way in: through the server, or in pieces straight to the storage, by addresses that the server signs. */
import { z } from 'zod';
import { MAX_PIECES } from '../../base/limits.js';
import { list } from '../../base/schemas.js';
import * as s from '../shapes.js';
import { nothing } from './common.js';
import { route } from './route.js';

const ofPart = z.strictObject({ name: s.modelName, version: s.modelName, part: s.partName });
const ofUpload = z.strictObject({ upload: s.id });
const MAX_PART = 2 ** 40;
/** Addresses in one answer. */
const MAX_URLS = 100;
/** Bytes: the numbers of all pieces, or the addresses of as many as are asked for. */
const MAX_PIECES_ANSWER = 1024 * 1024;
const piece = z.int().min(1).max(MAX_PIECES);

export const uploads = {
  beginUpload: route({
    method: 'POST',
    path: '/models/:name/versions/:version/parts/:part/upload',
    access: 'models.publish',
    summary: 'Begin to upload a big part, or go on with it',
    params: ofPart,
    body: z.strictObject({ /** Bytes. */ size: z.int().min(0).max(MAX_PART) }),
    status: 200,
    response: z.discriminatedUnion('kind', [
      /** It is there, whole. */
      z.object({ kind: z.literal('stored') }),
      /** `putPart` takes it. */
      z.object({ kind: z.literal('direct') }),
      /** In pieces of `pieceBytes`, the last one shorter; `present` are there already. */
      z.object({
        kind: z.literal('pieces'),
        upload: s.id,
        pieceBytes: z.int().min(1),
        present: list(z.object({ number: piece, size: z.int().min(0) }), MAX_PIECES),
      }),
    ]),
    maxAnswer: MAX_PIECES_ANSWER,
  }),
  uploadUrls: route({
    method: 'POST',
    path: '/uploads/:upload/urls',
    access: 'models.publish',
    summary: 'Addresses to which pieces are sent (PUT), each for one piece of the right size',
    params: ofUpload,
    body: z.strictObject({ numbers: list(piece, MAX_URLS).min(1) }),
    status: 200,
    maxAnswer: MAX_PIECES_ANSWER,
    response: z.object({ urls: list(z.object({ number: piece, url: s.address.min(1), expires: z.int() }), MAX_URLS) }),
  }),
  completeUpload: route({
    method: 'POST',
    path: '/uploads/:upload/complete',
    access: 'models.publish',
    summary: 'Put the pieces together',
    params: ofUpload,
    body: nothing,
    status: 200,
    response: z.object({ name: s.partName, size: z.int() }),
  }),
  abortUpload: route({
    method: 'DELETE',
    path: '/uploads/:upload',
    access: 'models.publish',
    summary: 'Give an upload up, and what was sent with it',
    params: ofUpload,
    status: 204,
  }),
  putPart: route({
    method: 'PUT',
    path: '/models/:name/versions/:version/parts/:part',
    access: 'models.publish',
    summary: 'Upload a big part through the server, whole or not at all',
    params: ofPart,
    body: 'octets',
    maxBody: MAX_PART,
    status: 201,
    response: z.object({ name: s.partName, size: z.int() }),
  }),
} as const;
