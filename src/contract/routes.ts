/**
 * Every route of the guard server, in one place: the server registers them, the client calls them, OpenAPI is generated from
 * them, tests walk them. A route that is not here does not exist.
 */
import { z } from 'zod';
import type { Permission } from './roles.js';
import * as s from './shapes.js';

/** Who may use a route: anyone, the holder of a signed URL, or those with a permission. */
export type Access = 'open' | 'signed-url' | Permission;

/** What a route takes and gives. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** `:name` stands for a parameter. */
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  /** The device's signature that the request must carry (docs/server-protocol.md, section 2). */
  readonly proof?: 'enrolment' | 'lease-request';
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  /** Absent: no body. `octets`: a stream. */
  readonly body?: z.ZodType | 'octets';
  /** Bytes of the body at most, where it is not the server's default of 64 KiB. */
  readonly maxBody?: number;
  readonly status: 200 | 201 | 202 | 204;
  /** Absent with 204. */
  readonly response?: z.ZodType | 'octets' | 'lines' | 'text';
}

const route = <const Definition extends Route>(definition: Definition): Definition => definition;
const ofAccount = z.strictObject({ account: s.id });
const ofDevice = z.strictObject({ device: s.id });
const ofModel = z.strictObject({ name: s.modelName });
const ofVersion = z.strictObject({ name: s.modelName, version: s.modelName });
const ofPart = z.strictObject({ name: s.modelName, version: s.modelName, part: s.partName });
const nothing = z.strictObject({});
const credentials = z.strictObject({ email: s.email, password: s.anyPassword });
const token = z.object({ token: z.string(), expires: s.seconds, mustChangePassword: z.boolean() });
const challenged = z.object({ challenge: s.challenge, expires: s.seconds });
const proven = { device: s.id, challenge: s.challenge };

/** Events come in pages; the rest is on the first one. */
const ofEvents = z.strictObject({ cursor: s.cursor.optional(), limit: z.coerce.number().int().min(1).max(5000).default(1000) });
const personalData = z.object({
  account: s.account,
  devices: z.array(s.device),
  entitlements: z.array(s.entitlement),
  leases: z.array(s.lease),
  events: z.array(s.auditEvent),
  /** Absent on the last page. */ next: s.cursor.optional(),
});

/** A small part in base64url: 17 MiB, a third more. */
const MAX_SMALL_BODY = 24 * 1024 * 1024;
const MAX_TREE = 512 * 1024 * 1024;

export const routes = {
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
    status: 204,
  }),
  exportOwnData: route({
    method: 'GET',
    path: '/account/data',
    access: 'account.self',
    summary: 'Everything that is stored about oneself',
    query: ofEvents,
    status: 200,
    response: personalData,
  }),

  listUsers: route({
    method: 'GET',
    path: '/users',
    access: 'users.manage',
    summary: 'Accounts',
    query: z.strictObject(s.page),
    status: 200,
    response: s.paged(s.account),
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
    status: 201,
    response: s.account,
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
    status: 200,
    response: s.account,
  }),
  exportUserData: route({
    method: 'GET',
    path: '/users/:account/data',
    access: 'subjects.manage',
    summary: 'Everything that is stored about somebody',
    params: ofAccount,
    query: ofEvents,
    status: 200,
    response: personalData,
  }),
  eraseUser: route({
    method: 'DELETE',
    path: '/users/:account',
    access: 'subjects.manage',
    summary: 'Erase an account and the personal data about it',
    params: ofAccount,
    status: 204,
  }),

  challengeDevice: route({
    method: 'POST',
    path: '/devices/challenge',
    access: 'devices.enroll',
    summary: 'Begin an enrolment',
    body: z.strictObject({ publicKey: s.deviceKey }),
    status: 200,
    response: challenged.extend({ nonce: s.base64url, serverId: s.id }),
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
    body: z.strictObject({ fingerprint: z.string().max(100) }),
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

  listEntitlements: route({
    method: 'GET',
    path: '/entitlements',
    access: 'entitlements.manage',
    summary: 'Who may load and unlock what',
    query: z.strictObject({ ...s.page, account: s.id.optional(), name: s.modelName.optional() }),
    status: 200,
    response: s.paged(s.entitlement),
  }),
  createEntitlement: route({
    method: 'POST',
    path: '/entitlements',
    access: 'entitlements.manage',
    summary: 'Let an account, or one of its devices, load a model or unlock an archive',
    body: z.strictObject({
      kind: s.resourceKind.default('model'),
      name: s.modelName,
      account: s.id,
      device: s.id.optional(),
      ...s.terms,
    }),
    status: 201,
    response: s.entitlement,
  }),
  deleteEntitlement: route({
    method: 'DELETE',
    path: '/entitlements/:entitlement',
    access: 'entitlements.manage',
    summary: 'Take it back; its leases are revoked',
    params: z.strictObject({ entitlement: s.id }),
    status: 204,
  }),

  getPublishers: route({
    method: 'GET',
    path: '/models/:name/publishers',
    access: 'models.read',
    summary: 'Who may sign versions of a model',
    params: ofModel,
    status: 200,
    response: z.object({ keys: z.array(s.verifyingKey) }),
  }),
  setPublishers: route({
    method: 'PUT',
    path: '/models/:name/publishers',
    access: 'publishers.manage',
    summary: 'Register the publisher keys of a model',
    params: ofModel,
    body: z.strictObject({ keys: z.array(s.verifyingKey).min(1).max(16) }),
    status: 200,
    response: z.object({ keys: z.array(s.verifyingKey) }),
  }),
  putPart: route({
    method: 'PUT',
    path: '/models/:name/versions/:version/parts/:part',
    access: 'models.publish',
    summary: 'Upload a big part, whole or not at all',
    params: ofPart,
    body: 'octets',
    maxBody: 2 ** 40,
    status: 201,
    response: z.object({ name: s.partName, size: z.int() }),
  }),
  putTree: route({
    method: 'PUT',
    path: '/models/:name/versions/:version/parts/:part/tree',
    access: 'models.publish',
    summary: 'Upload the tree of a big part',
    params: ofPart,
    body: 'octets',
    maxBody: MAX_TREE,
    status: 204,
  }),
  publishVersion: route({
    method: 'PUT',
    path: '/models/:name/versions/:version',
    access: 'models.publish',
    summary: 'Publish: the commit',
    params: ofVersion,
    body: z.strictObject({ small: s.base64url, overwrite: z.boolean().default(false) }),
    maxBody: MAX_SMALL_BODY,
    status: 201,
    response: s.version,
  }),
  listVersions: route({
    method: 'GET',
    path: '/versions',
    access: 'models.read',
    summary: 'Versions of models',
    query: z.strictObject({ ...s.page, name: s.modelName.optional(), state: s.versionState.optional() }),
    status: 200,
    response: s.paged(s.version),
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
    body: nothing,
    status: 200,
    response: s.version,
  }),
  revokeVersion: route({
    method: 'POST',
    path: '/models/:name/versions/:version/revoke',
    access: 'models.decide',
    summary: 'Revoke a version and its leases',
    params: ofVersion,
    body: nothing,
    status: 200,
    response: s.version,
  }),

  challengeLease: route({
    method: 'POST',
    path: '/leases/challenge',
    access: 'leases.take',
    summary: 'Begin a lease or an unlock',
    body: nothing,
    status: 200,
    response: challenged,
  }),
  takeLease: route({
    method: 'POST',
    path: '/leases',
    access: 'leases.take',
    summary: 'A small part for an approved device',
    proof: 'lease-request',
    body: z.strictObject({
      ...proven,
      name: s.modelName,
      version: s.modelName.optional(),
      seconds: z.int().min(1).max(31_622_400).optional(),
    }),
    status: 201,
    response: s.grant,
  }),
  listLeases: route({
    method: 'GET',
    path: '/leases',
    access: 'leases.manage',
    summary: 'Leases',
    query: z.strictObject({
      ...s.page,
      device: s.id.optional(),
      name: s.modelName.optional(),
      active: z.enum(['true', 'false']).optional(),
    }),
    status: 200,
    response: s.paged(s.lease),
  }),
  revokeLease: route({
    method: 'DELETE',
    path: '/leases/:lease',
    access: 'leases.manage',
    summary: 'Revoke a lease and free its seat',
    params: z.strictObject({ lease: s.id }),
    status: 204,
  }),
  readPart: route({
    method: 'GET',
    path: '/parts/:part',
    access: 'signed-url',
    summary: 'A big part, whole or a range',
    params: z.strictObject({ part: s.partName }),
    query: z.strictObject({ expires: z.string().regex(/^[0-9]{1,12}$/), signature: s.base64url.max(64) }),
    status: 200,
    response: 'octets',
  }),
  readTree: route({
    method: 'GET',
    path: '/parts/:part/tree',
    access: 'signed-url',
    summary: 'The tree of a big part',
    params: z.strictObject({ part: s.partName }),
    query: z.strictObject({ expires: z.string().regex(/^[0-9]{1,12}$/), signature: s.base64url.max(64) }),
    status: 200,
    response: 'octets',
  }),

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
      fragment: s.base64url.max(8192),
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

  keys: route({
    method: 'GET',
    path: '/keys',
    access: 'keys.read',
    summary: 'Encryption keys and rotations',
    status: 200,
    response: z.object({ keys: z.array(s.serverKey), rotations: z.array(s.rotation) }),
  }),
  rotateKeys: route({
    method: 'POST',
    path: '/keys/rotate',
    access: 'keys.rotate',
    summary: 'Re-wrap every small part to a new encryption key',
    body: z.strictObject({
      /** Publications to the old key are accepted for so long. */ acceptSeconds: z.int().min(0).max(2_678_400).default(86_400),
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
    response: z.object({ key: s.verifyingKey, previous: s.verifyingKey, /** Of the new one. */ fingerprint: z.string() }),
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

  auditEvents: route({
    method: 'GET',
    path: '/audit/events',
    access: 'audit.read',
    summary: 'Query the audit log',
    query: z.strictObject({
      ...s.page,
      action: z
        .string()
        .max(64)
        .regex(/^[a-z.-]+$/)
        .optional(),
      outcome: s.outcome.optional(),
      account: s.id.optional(),
      resource: z.string().max(300).optional(),
      since: s.seconds
        .or(
          z
            .string()
            .regex(/^[0-9]{1,12}$/)
            .transform(Number),
        )
        .optional(),
      until: s.seconds
        .or(
          z
            .string()
            .regex(/^[0-9]{1,12}$/)
            .transform(Number),
        )
        .optional(),
    }),
    status: 200,
    response: s.paged(s.auditEvent),
  }),
  exportAudit: route({
    method: 'GET',
    path: '/audit/export',
    access: 'audit.read',
    summary: 'The stored bytes of all events, a line each',
    status: 200,
    response: 'lines',
  }),
  auditCheckpoint: route({
    method: 'GET',
    path: '/audit/checkpoint',
    access: 'audit.read',
    summary: 'A signed checkpoint of now',
    status: 200,
    response: s.checkpoint,
  }),
} as const;

/** The name of a route. */
export type RouteName = keyof typeof routes;
type Defined<Name extends RouteName> = (typeof routes)[Name];
type Output<Value> = Value extends z.ZodType ? z.output<Value> : undefined;
type Input<Value> = Value extends z.ZodType ? z.input<Value> : undefined;
type Of<Name extends RouteName, Key extends keyof Route> =
  Defined<Name> extends { readonly [K in Key]: infer Value } ? Value : undefined;

/** What a handler is given, checked. */
export interface RouteInput<Name extends RouteName> {
  readonly params: Output<Of<Name, 'params'>>;
  readonly query: Output<Of<Name, 'query'>>;
  readonly body: Output<Of<Name, 'body'>>;
}
type Given<Key extends string, Value> = Value extends undefined
  ? { readonly [K in Key]?: undefined }
  : { readonly [K in Key]: Value };
/** What a caller gives. */
export type RouteRequest<Name extends RouteName> = Given<'params', Input<Of<Name, 'params'>>> &
  Given<'query', Input<Of<Name, 'query'>>> &
  Given<'body', Input<Of<Name, 'body'>>>;
/** What a JSON route answers. */
export type RouteAnswer<Name extends RouteName> = Output<Of<Name, 'response'>>;
