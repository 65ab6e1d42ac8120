export { AUDIT_ACTION_FILTERS, AUDIT_ACTIONS, type AuditAction, type AuditActionFilter } from './audit-actions.js';
export * from './proof.js';
export { PERMISSIONS, type Permission, permits, ROLES, type Role } from './roles.js';
export { MAX_ACCEPT_SECONDS } from './routes/keys.js';
export {
  type Access,
  type Route,
  type RouteAnswer,
  type RouteInput,
  type RouteName,
  type RouteRequest,
  routes,
} from './routes.js';
export * as shapes from './shapes.js';
export { codesOf, statusOf } from './statuses.js';
