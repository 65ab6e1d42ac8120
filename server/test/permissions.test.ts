/**
 * Every route as every role, without a token, with an expired and with a forged one. The tables here are written by hand, from the roles
 * in server/README.md: a right that is given away by mistake in src/contract fails here.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PERMISSIONS, type Permission, ROLES, type Role, type RouteName, routes } from '@org/model-guard/server-kit';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { definitions } from '../src/http/shapes.js';
import { startTestServer, type TestServer } from './support/server.js';

const OPEN: readonly RouteName[] = ['health', 'ready', 'metrics', 'serverKey', 'jwks', 'token', 'login'];
const BY_URL: readonly RouteName[] = ['readPart', 'readTree'];
const NAMES = Object.keys(routes) as RouteName[];

/** The roles in this order; `x` means that the role has the permission. */
const ORDER: readonly Role[] = ['none', 'operator', 'validator', 'companion', 'admin', 'resourceUploader', 'apiAdmin'];
const GRANTED: Readonly<Record<Permission, string>> = {
  'account.self': 'x x x x x x x',
  'server.read': '. x x x x x x',
  'devices.enroll': '. x x x x . x',
  'devices.read': '. x x x x . x',
  'devices.decide': '. . . . x . x',
  'entitlements.manage': '. . . . x . x',
  'publishers.manage': '. . . . x . x',
  'models.read': '. x x x x x x',
  'models.publish': '. x x . x x x',
  'models.decide': '. . x . x . x',
  'leases.take': '. x x x x . x',
  'leases.manage': '. . . . x . x',
  'archives.read': '. x x x x x x',
  'archives.register': '. . . . x x x',
  'archives.unlock': '. x x x x . x',
  'audit.read': '. . . . x . x',
  'audit.restore': '. . . . . . x',
  'keys.read': '. . . . x . x',
  'keys.rotate': '. . . . . . x',
  'users.find': '. . . . x . x',
  'users.manage': '. . . . . . x',
  'subjects.manage': '. . . . . . x',
};
const isGranted = (role: Role, permission: Permission): boolean => GRANTED[permission].split(' ')[ORDER.indexOf(role)] === 'x';

/** The permissions of the columns of the table in server/README.md. */
const COLUMNS: readonly (readonly [string, readonly Permission[]])[] = [
  ['publish', ['models.publish']],
  ['release, reject, revoke versions', ['models.decide']],
  ['register archives', ['archives.register']],
  ['enrol devices, lease, unlock', ['devices.enroll', 'leases.take', 'archives.unlock']],
  [
    'approve devices; entitlements, publishers, leases, audit log',
    ['devices.decide', 'entitlements.manage', 'publishers.manage', 'leases.manage', 'audit.read'],
  ],
  ['accounts, keys, data subjects', ['users.manage', 'keys.rotate', 'subjects.manage']],
];

/** The permission that each route demands. */
const DEMANDED: Readonly<Record<RouteName, Permission | 'open' | 'signed-url'>> = {
  health: 'open',
  ready: 'open',
  metrics: 'open',
  jwks: 'open',
  token: 'open',
  login: 'open',
  serverKey: 'open',
  server: 'server.read',
  account: 'account.self',
  changePassword: 'account.self',
  exportOwnData: 'account.self',
  listUsers: 'users.manage',
  createUser: 'users.manage',
  findUser: 'users.find',
  getUser: 'users.manage',
  updateUser: 'users.manage',
  resetUserPassword: 'users.manage',
  exportUserData: 'subjects.manage',
  eraseUser: 'subjects.manage',
  challengeDevice: 'devices.enroll',
  enrollDevice: 'devices.enroll',
  listDevices: 'devices.read',
  getDevice: 'devices.read',
  approveDevice: 'devices.decide',
  revokeDevice: 'devices.decide',
  listEntitlements: 'entitlements.manage',
  createEntitlement: 'entitlements.manage',
  deleteEntitlement: 'entitlements.manage',
  getPublishers: 'models.read',
  setPublishers: 'publishers.manage',
  publishVersion: 'models.publish',
  listVersions: 'models.read',
  getVersion: 'models.read',
  latestVersion: 'models.read',
  releaseVersion: 'models.decide',
  rejectVersion: 'models.decide',
  revokeVersion: 'models.decide',
  beginUpload: 'models.publish',
  uploadUrls: 'models.publish',
  completeUpload: 'models.publish',
  abortUpload: 'models.publish',
  putPart: 'models.publish',
  challengeLease: 'leases.take',
  takeLease: 'leases.take',
  listLeases: 'leases.manage',
  revokeLease: 'leases.manage',
  readPart: 'signed-url',
  readTree: 'signed-url',
  registerArchive: 'archives.register',
  listArchives: 'archives.read',
  getArchive: 'archives.read',
  deleteArchive: 'archives.register',
  unlockArchive: 'archives.unlock',
  keys: 'keys.read',
  rotateKeys: 'keys.rotate',
  rotateSigningKey: 'keys.rotate',
  getRotation: 'keys.read',
  auditEvents: 'audit.read',
  exportAudit: 'audit.read',
  auditCheckpoint: 'audit.read',
  stateRestored: 'audit.restore',
};

/** A path whose parameters fit the contract and name nothing. */
const pathOf = (name: RouteName): string =>
  definitions[name].path
    .replace(':part', `${'0'.repeat(32)}-0`)
    .replace(/:(account|device|entitlement|lease|rotation|upload)/, '0'.repeat(32))
    .replace(/:(name|version)/g, 'nothing');

describe('the permission table', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startTestServer();
  });
  afterAll(() => server.close());

  const ask = (name: RouteName, token?: string) =>
    server.app.inject({
      method: definitions[name].method,
      url: pathOf(name),
      ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
      // Refused by every schema that has a body, and only once the caller was let through.
      ...(definitions[name].body !== undefined && definitions[name].body !== 'octets' && { payload: { unknown: true } }),
    });

  it('leaves nothing open but health, ready, metrics, tokens, their keys and the documentation', async () => {
    expect(NAMES.filter((name) => routes[name].access === 'open').sort()).toEqual([...OPEN].sort());
    expect(NAMES.filter((name) => routes[name].access === 'signed-url')).toEqual(BY_URL);
    for (const name of OPEN) expect([200, 400], name).toContain((await ask(name)).statusCode);
    for (const name of BY_URL) expect([400, 403], name).toContain((await ask(name)).statusCode);
    const documentation = await server.app.inject({ url: '/docs/json' });
    expect(documentation.statusCode).toBe(200);
    expect((await server.app.inject({ url: '/nothing-here' })).statusCode).toBe(404);
  });

  it('names every permission in some route, and every route in the table', () => {
    const used = new Set(NAMES.map((name) => routes[name].access));
    for (const permission of Object.keys(PERMISSIONS)) expect(used, permission).toContain(permission);
    for (const name of NAMES) expect(['open', 'signed-url', ...Object.keys(PERMISSIONS)]).toContain(routes[name].access);
  });

  it('gives every role the permissions of this table, and no more', () => {
    expect(ROLES).toEqual(ORDER);
    const actual = Object.entries(PERMISSIONS).map(([permission, roles]) => [
      permission,
      ORDER.map((role) => ((roles as readonly Role[]).includes(role) ? 'x' : '.')).join(' '),
    ]);
    expect(Object.fromEntries(actual)).toEqual(GRANTED);
  });

  it('is the table of server/README.md, by which a reader chooses a role', () => {
    const text = readFileSync(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8');
    const [head = [], , ...rows] = (/^\| role \| publish .*\n(?:\|.*\n)+/m.exec(text)?.[0] ?? '')
      .trimEnd()
      .split('\n')
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    expect(head.slice(1)).toEqual(COLUMNS.map(([column]) => column));
    expect(rows.map(([role = '']) => role.slice(1, -1)).sort()).toEqual([...ROLES].sort());
    for (const [role = '', ...cells] of rows)
      for (const [index, [column, permissions]] of COLUMNS.entries()) {
        const [named, cell = ''] = [role.slice(1, -1) as Role, cells[index]];
        for (const permission of permissions) expect(cell !== '', `${role}: ${column}`).toBe(isGranted(named, permission));
        if (column === 'publish' && cell !== '')
          expect(cell, role).toBe(isGranted(named, 'models.decide') ? 'released at once' : 'waits for release');
      }
  });

  it('is demanded by every route as it is written down here', () => {
    expect(Object.fromEntries(NAMES.map((name) => [name, routes[name].access]))).toEqual(DEMANDED);
  });

  it('is what every route answers, for every role', async () => {
    let walked = 0;
    for (const name of NAMES) {
      const access = DEMANDED[name];
      if (access === 'open' || access === 'signed-url') continue;
      for (const role of ORDER) {
        const answer = await ask(name, await server.token(role));
        const refused = answer.statusCode === 403 && answer.json().error.code === 'NOT_AUTHORISED';
        expect(refused, `${role} asks ${name}: ${answer.statusCode} ${answer.body.slice(0, 200)}`).toBe(!isGranted(role, access));
        expect(answer.statusCode, `${role} asks ${name}`).toBeLessThan(500);
        walked += 1;
      }
    }
    expect(walked).toBe((NAMES.length - OPEN.length - BY_URL.length) * ORDER.length);
  });

  it('refuses requests without a token, and with an expired or a forged one', async () => {
    const now = server.context.now();
    const claims = (exp: number) =>
      new SignJWT({ role: 'apiAdmin' })
        .setProtectedHeader({ alg: 'HS256' })
        .setIssuer(server.context.serverId)
        .setAudience('model-guard')
        .setSubject('0'.repeat(32))
        .setIssuedAt(now)
        .setExpirationTime(exp)
        .setJti('0'.repeat(32))
        .sign(Buffer.alloc(32, 1));
    const expired = await server.token('apiAdmin');
    const bearers = { none: undefined, garbage: 'a.b.c', forged: await claims(now + 600), empty: '' };
    for (const name of NAMES) {
      const { access } = routes[name];
      if (access === 'open' || access === 'signed-url') continue;
      for (const [kind, token] of Object.entries(bearers)) {
        const answer = await ask(name, token);
        expect(answer.statusCode, `${name} with ${kind} token`).toBe(401);
        expect(answer.json().error.code).toBe('NOT_AUTHENTICATED');
      }
    }
    server.clock.advance(3600);
    for (const name of NAMES) {
      if (routes[name].access === 'open' || routes[name].access === 'signed-url') continue;
      expect((await ask(name, expired)).statusCode, `${name} with an expired token`).toBe(401);
    }
  });
});
