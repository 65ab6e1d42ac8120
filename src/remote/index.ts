export { type GuardServer, guardServer } from './guard-server.js';
export type { DeviceQuery, Devices, EntitlementQuery, Entitlements, IssuedLeases, LeaseQuery } from './rooms/access.js';
export type { Archives } from './rooms/archives.js';
export type { Models, Publishers, VersionQuery } from './rooms/models.js';
export type { Audit, ServerKeys } from './rooms/operations.js';
export type { NewUser, OwnAccount, UserChange, Users } from './rooms/people.js';
export type * from './types.js';
export { unlock } from './unlock.js';
export type { Unlocking } from './unlocking.js';
