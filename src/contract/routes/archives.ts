/** Archives that lie at the clients. */
import { z } from 'zod';
import * as s from '../shapes.js';
import { ofModel, proven } from './common.js';
import { MAX_PAGE_ANSWER, route } from './route.js';

export const archives = {
  registerArchive: route({
    method: 'POST',
    path: '/archives',
    access: 'archives.register',
    summary: 'Register an archive and its sealed fragment',
    body: z.strictObject({
      name: s.modelName,
      format: s.archiveFormat,
      sha256: s.sha256,
      size: z.int().min(1),
      fragment: s.fragment,
    }),
    status: 201,
    response: s.archive,
  }),
  listArchives: route({
    method: 'GET',
    path: '/archives',
    access: 'archives.read',
    summary: 'Archives',
    query: z.strictObject(s.page),
    status: 200,
    response: s.paged(s.archive),
    maxAnswer: MAX_PAGE_ANSWER,
  }),
  getArchive: route({
    method: 'GET',
    path: '/archives/:name',
    access: 'archives.read',
    summary: 'One archive',
    params: ofModel,
    status: 200,
    response: s.archive,
  }),
  deleteArchive: route({
    method: 'DELETE',
    path: '/archives/:name',
    access: 'archives.register',
    summary: 'Forget an archive and its fragment',
    params: ofModel,
    status: 204,
  }),
  unlockArchive: route({
    method: 'POST',
    path: '/archives/:name/unlock',
    access: 'archives.unlock',
    summary: 'The fragment, sealed to an approved device',
    proof: 'lease-request',
    params: ofModel,
    /** The name once more, where the device signs it. */
    body: z.strictObject({ ...proven, name: s.modelName }),
    status: 200,
    response: s.fragmentGrant,
  }),
} as const;
