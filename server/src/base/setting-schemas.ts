/** Schemas of settings that several groups of settings use. */
import { ModelGuardError, text } from '@org/model-guard/server-kit';
import { z } from 'zod';

export const flag = z.union([
  z.boolean(),
  z.enum(['true', 'false', '1', '0', '']).transform((text) => text === 'true' || text === '1'),
]);
/** A URL without a slash at the end. */
export const httpUrl = text(2048)
  .check(z.url({ protocol: /^https?$/, error: 'is no http:// or https:// URL' }))
  .refine((text) => !/[?#@]/.test(text), 'must not hold a query, a fragment or a password')
  .transform((text) => text.replace(/\/+$/, ''));

export const refused = (what: string): ModelGuardError =>
  new ModelGuardError('INVALID_ARGUMENT', what, { advice: 'See --help.' });
