/**
 * Every route of the guard server, in one place: the server registers them, the client calls them, OpenAPI is generated from
 * them, tests walk them. A route that is not here does not exist.
 */
import type { z } from 'zod';
import { accounts } from './routes/accounts.js';
import { archives } from './routes/archives.js';
import { audit } from './routes/audit.js';
import { devices } from './routes/devices.js';
import { entitlements } from './routes/entitlements.js';
import { keys } from './routes/keys.js';
import { leases } from './routes/leases.js';
import { models } from './routes/models.js';
import { parts } from './routes/parts.js';
import type { Route } from './routes/route.js';
import { subjects } from './routes/subjects.js';
import { system } from './routes/system.js';
import { uploads } from './routes/uploads.js';

export type { Access, Route } from './routes/route.js';

export const routes = {
  ...system,
  ...accounts,
  ...subjects,
  ...devices,
  ...entitlements,
  ...models,
  ...uploads,
  ...parts,
  ...leases,
  ...archives,
  ...keys,
  ...audit,
} as const;

/** The name of a route. */
export type RouteName = keyof typeof routes;
type Defined<Name extends RouteName> = (typeof routes)[Name];
type Output<Value> = Value extends z.ZodType ? z.output<Value> : undefined;
type Input<Value> = Value extends z.ZodType ? z.input<Value> : undefined;
type Of<Name extends RouteName, Key extends keyof Route> =
  Defined<Name> extends { readonly [K in Key]: infer Value } ? Value : undefined;

/** The checked input of a handler. */
export interface RouteInput<Name extends RouteName> {
  readonly params: Output<Of<Name, 'params'>>;
  readonly query: Output<Of<Name, 'query'>>;
  readonly body: Output<Of<Name, 'body'>>;
}
type Given<Key extends string, Value> = Value extends undefined
  ? { readonly [K in Key]?: undefined }
  : { readonly [K in Key]: Value };
/** The input of a caller. */
export type RouteRequest<Name extends RouteName> = Given<'params', Input<Of<Name, 'params'>>> &
  Given<'query', Input<Of<Name, 'query'>>> &
  Given<'body', Input<Of<Name, 'body'>>>;
/** The answer of a JSON route. */
export type RouteAnswer<Name extends RouteName> = Output<Of<Name, 'response'>>;
