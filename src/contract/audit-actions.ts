/** The actions of the audit log: the server records no other, and queries name no other. */

export const AUDIT_ACTIONS = [
  'account.password',
  'account.read',
  'archives.delete',
  'archives.list',
  'archives.read',
  'archives.register',
  'archives.unlock',
  'audit.checkpoint',
  'audit.export',
  'audit.read',
  'audit.restore',
  'auth.login',
  'auth.token',
  'authz.denied',
  'devices.approve',
  'devices.enroll',
  'devices.list',
  'devices.read',
  'devices.revoke',
  'entitlements.create',
  'entitlements.delete',
  'entitlements.list',
  'keys.read',
  'keys.remove',
  'keys.rotate',
  'keys.rotate-signing',
  'keys.rotated',
  'leases.list',
  'leases.revoke',
  'leases.take',
  'models.latest',
  'models.list',
  'models.publish',
  'models.read',
  'models.reject',
  'models.release',
  'models.revoke',
  'models.upload',
  'parts.read',
  'publishers.read',
  'publishers.set',
  'server.read',
  'subjects.erase',
  'subjects.export',
  'users.create',
  'users.find',
  'users.list',
  'users.read',
  'users.reset-password',
  'users.update',
] as const;

/** An action that events of the audit log name. */
export type AuditAction = (typeof AUDIT_ACTIONS)[number];
type ConcernOf<Action extends string> = Action extends `${infer Concern}.${string}` ? Concern : never;
/** One action, or all actions of a concern: `leases` is `leases.take` and every other `leases.…`. */
export type AuditActionFilter = AuditAction | ConcernOf<AuditAction>;

const concerns = new Set(AUDIT_ACTIONS.map((action) => action.slice(0, action.indexOf('.')) as ConcernOf<AuditAction>));
export const AUDIT_ACTION_FILTERS: readonly AuditActionFilter[] = [...AUDIT_ACTIONS, ...concerns];
