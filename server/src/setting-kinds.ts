/** Kinds of settings that several groups of them have. */
import { isIP } from 'node:net';
import { ModelGuardError, text } from '@org/model-guard/server-kit';
import { z } from 'zod';

export const flag = z.union([
  z.boolean(),
  z.enum(['true', 'false', '1', '0', '']).transform((text) => text === 'true' || text === '1'),
]);
/** Without a slash at the end. */
export const httpUrl = text(2048)
  .check(z.url({ protocol: /^https?$/ }))
  .refine((text) => !/[?#@]/.test(text), 'must not hold a query, a fragment or a password')
  .transform((text) => text.replace(/\/+$/, ''));

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));

export const refused = (what: string): ModelGuardError =>
  new ModelGuardError('INVALID_ARGUMENT', what, { advice: 'See --help.' });
