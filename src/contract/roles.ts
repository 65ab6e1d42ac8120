/** The one table of permissions by role. Server and tests read it; nothing else decides. */

/** No order of power: the table below says what each may do. */
export const ROLES = ['none', 'operator', 'validator', 'companion', 'admin', 'resourceUploader', 'apiAdmin'] as const;
/** The role of an account. */
export type Role = (typeof ROLES)[number];

const EVERYONE = ROLES;
const MEMBERS = ROLES.filter((role) => role !== 'none');
const MACHINES = ['operator', 'validator', 'companion', 'admin', 'apiAdmin'] as const;
const ADMINS = ['admin', 'apiAdmin'] as const;

/** Every permission, and the roles that have it. */
export const PERMISSIONS = {
  /** One's own account: look, change the password, export. */
  'account.self': EVERYONE,
  'server.read': MEMBERS,
  'devices.enroll': MACHINES,
  /** Own devices; those with `devices.decide` see all. */
  'devices.read': MACHINES,
  'devices.decide': ADMINS,
  'entitlements.manage': ADMINS,
  'publishers.manage': ADMINS,
  'models.read': MEMBERS,
  /** Versions that roles without `models.decide` publish wait for approval. */
  'models.publish': ['operator', 'validator', 'admin', 'resourceUploader', 'apiAdmin'],
  /** Release, reject, revoke. */
  'models.decide': ['validator', 'admin', 'apiAdmin'],
  'leases.take': MACHINES,
  'leases.manage': ADMINS,
  'archives.read': MEMBERS,
  'archives.register': ['admin', 'resourceUploader', 'apiAdmin'],
  'archives.unlock': MACHINES,
  'audit.read': ADMINS,
  /** State that a restored log is the one to go on with. */
  'audit.restore': ['apiAdmin'],
  'keys.read': ADMINS,
  'keys.rotate': ['apiAdmin'],
  /** An account's id by its e-mail address; the audit log shows both to the same roles. */
  'users.find': ADMINS,
  'users.manage': ['apiAdmin'],
  /** Export and erase the data of others. */
  'subjects.manage': ['apiAdmin'],
} as const satisfies Record<string, readonly Role[]>;

/** The right to use some routes. */
export type Permission = keyof typeof PERMISSIONS;

/** Whether `role` has `permission`. */
export const permits = (role: Role, permission: Permission): boolean =>
  (PERMISSIONS[permission] as readonly Role[]).includes(role);
