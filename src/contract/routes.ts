/**
 * Every route of the guard server, in one place: the server registers them, the client calls them, OpenAPI is generated from
 * them, tests walk them. A route that is not here does not exist.
 */
import type { z } from 'zod';
import { archives } from './routes/archives.js';
import { devices } from './routes/devices.js';
import { leases } from './routes/leases.js';
import { models } from './routes/models.js';
import { open } from './routes/open.js';
import { operations } from './routes/operations.js';
import { people } from './routes/people.js';
import type { Route } from './routes/route.js';
import { uploads } from './routes/uploads.js';

export type { Access, Route } from './routes/route.js';

export const routes = { ...open, ...people, ...devices, ...models, ...uploads, ...leases, ...archives, ...operations } as const;

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
