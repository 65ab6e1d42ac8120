/** The type of a route. */
import type { z } from 'zod';
import type { Permission } from '../roles.js';

/** Access to a route: open, by a signed URL, or by a permission. */
export type Access = 'open' | 'signed-url' | Permission;

/** The input and the output of a route. */
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
  /**
   * The body may hold a secret that the caller knows: a password. Clients send it only to a server that has just proved that it has the
   * pinned key.
   */
  readonly secretBody?: true;
  /** Bytes of the body at most, where it is not the server's default of 64 KiB. */
  readonly maxBody?: number;
  /** Bytes of a JSON answer at most, where it is not the default of 64 KiB: clients read no more. */
  readonly maxAnswer?: number;
  readonly status: 200 | 201 | 202 | 204;
  /** Absent with 204. */
  readonly response?: z.ZodType | 'octets' | 'lines' | 'text';
}

/** Bytes of an answer with a page of a list, its texts as long as they may be. */
export const MAX_PAGE_ANSWER = 8 * 1024 * 1024;

/** Keeps the literal types. */
export const route = <const Definition extends Route>(definition: Definition): Definition => definition;
