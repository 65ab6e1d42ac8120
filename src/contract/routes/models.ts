/** Versions of models, and who decides about them. */
import { z } from 'zod';
import { list } from '../../base/schemas.js';
import * as s from '../shapes.js';
import { ofModel } from './common.js';
import { MAX_PAGE_ANSWER, route } from './route.js';

const ofVersion = z.strictObject({ name: s.modelName, version: s.modelName });
const MAX_PUBLISHERS = 16;
/** The payload that was looked at: a version may be replaced after that. */
const reviewed = { payloadId: s.id };
/** A small part in base64url: 17 MiB, a third more. */
const MAX_SMALL_BODY = 24 * 1024 * 1024;

export const models = {
  getPublishers: route({
    method: 'GET',
    path: '/models/:name/publishers',
    access: 'models.read',
    summary: 'Who may sign versions of a model',
    params: ofModel,
    status: 200,
    response: z.object({ keys: list(s.verifyingKey, MAX_PUBLISHERS) }),
  }),
  setPublishers: route({
    method: 'PUT',
    path: '/models/:name/publishers',
    access: 'publishers.manage',
    summary: 'Register the publisher keys of a model',
    params: ofModel,
    body: z.strictObject({ keys: list(s.verifyingKey, MAX_PUBLISHERS).min(1) }),
    status: 200,
    response: z.object({ keys: list(s.verifyingKey, MAX_PUBLISHERS) }),
  }),
  publishVersion: route({
    method: 'PUT',
    path: '/models/:name/versions/:version',
    access: 'models.publish',
    summary: 'Publish: the commit',
    params: ofVersion,
    body: z.strictObject({ small: s.smallPart, overwrite: z.boolean().default(false) }),
    maxBody: MAX_SMALL_BODY,
    status: 201,
    response: s.version,
  }),
  listVersions: route({
    method: 'GET',
    path: '/versions',
    access: 'models.read',
    summary: 'Versions of models',
    query: z.strictObject({
      ...s.page,
      name: s.modelName.optional(),
      /** Of `name`: one version, or none. */
      version: s.modelName.optional(),
      state: s.versionState.optional(),
    }),
    status: 200,
    response: s.paged(s.version),
    maxAnswer: MAX_PAGE_ANSWER,
  }),
  getVersion: route({
    method: 'GET',
    path: '/models/:name/versions/:version',
    access: 'models.read',
    summary: 'One version',
    params: ofVersion,
    status: 200,
    response: s.version,
  }),
  latestVersion: route({
    method: 'GET',
    path: '/models/:name/latest',
    access: 'models.read',
    summary: 'The newest released version, signed and dated',
    params: ofModel,
    status: 200,
    response: s.statement,
  }),
  releaseVersion: route({
    method: 'POST',
    path: '/models/:name/versions/:version/release',
    access: 'models.decide',
    summary: 'Release a version',
    params: ofVersion,
    body: z.strictObject({
      ...reviewed,
      /** Releases it although a newer one is released; that one is then rejected. */ rollback: z.boolean().default(false),
    }),
    status: 200,
    response: s.version,
  }),
  rejectVersion: route({
    method: 'POST',
    path: '/models/:name/versions/:version/reject',
    access: 'models.decide',
    summary: 'Reject a pending version',
    params: ofVersion,
    body: z.strictObject(reviewed),
    status: 200,
    response: s.version,
  }),
  revokeVersion: route({
    method: 'POST',
    path: '/models/:name/versions/:version/revoke',
    access: 'models.decide',
    summary: 'Revoke a version and its leases',
    params: ofVersion,
    /** Without a payload: whatever stands there now. */
    body: z.strictObject({ payloadId: s.id.optional() }),
    status: 200,
    response: s.version,
  }),
} as const;
