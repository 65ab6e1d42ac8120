/** Devices: enrolled, approved, revoked. */
import { z } from 'zod';
import * as s from '../shapes.js';
import { challenged, nothing } from './common.js';
import { MAX_PAGE_ANSWER, route } from './route.js';

const ofDevice = z.strictObject({ device: s.id });

export const devices = {
  challengeDevice: route({
    method: 'POST',
    path: '/devices/challenge',
    access: 'devices.enroll',
    summary: 'Begin an enrolment',
    body: z.strictObject({ publicKey: s.deviceKey }),
    status: 200,
    response: challenged.extend({ nonce: s.base64url(1024), serverId: s.id }),
  }),
  enrollDevice: route({
    method: 'POST',
    path: '/devices',
    access: 'devices.enroll',
    summary: 'Enrol a device',
    proof: 'enrolment',
    body: z.strictObject({
      name: s.label,
      publicKey: s.deviceKey,
      challenge: s.challenge,
      machineIdentity: s.challenge.optional(),
    }),
    status: 201,
    response: s.device,
  }),
  listDevices: route({
    method: 'GET',
    path: '/devices',
    access: 'devices.read',
    summary: 'Devices: own ones, or all for those who decide',
    query: z.strictObject({ ...s.page, state: s.deviceState.optional(), account: s.id.optional() }),
    status: 200,
    response: s.paged(s.device),
    maxAnswer: MAX_PAGE_ANSWER,
  }),
  getDevice: route({
    method: 'GET',
    path: '/devices/:device',
    access: 'devices.read',
    summary: 'One device',
    params: ofDevice,
    status: 200,
    response: s.device,
  }),
  approveDevice: route({
    method: 'POST',
    path: '/devices/:device/approve',
    access: 'devices.decide',
    summary: 'Approve a device, having compared its fingerprint',
    params: ofDevice,
    body: z.strictObject({ fingerprint: s.fingerprint }),
    status: 200,
    response: s.device,
  }),
  revokeDevice: route({
    method: 'POST',
    path: '/devices/:device/revoke',
    access: 'devices.decide',
    summary: 'Revoke a device and its leases',
    params: ofDevice,
    body: nothing,
    status: 200,
    response: s.device,
  }),
} as const;
