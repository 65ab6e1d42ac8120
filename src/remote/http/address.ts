/** Where a guard server is, and which addresses may be asked on its behalf. */
import { ModelGuardError } from '../../errors.js';
import { isLoopback, parseAddress, safeAddress } from '../../http/address.js';

/** https everywhere, http to this machine alone. INVALID_ARGUMENT */
export const serverAddress = (text: string): URL => safeAddress(text, 'options.url');

/** The address of a route: parameters are encoded, so that none of them is more than one segment. */
export function routeAddress(
  base: URL,
  path: string,
  params: Readonly<Record<string, unknown>> = {},
  query: Readonly<Record<string, unknown>> = {},
): URL {
  const filled = path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(String(params[name])));
  const url = new URL(base);
  url.pathname = base.pathname.replace(/\/+$/, '') + filled;
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.append(name, String(value));
  return url;
}

/** Statuses with which a storage refuses an address that has expired. */
const EXPIRED: ReadonlySet<number> = new Set([401, 403, 410]);

/** Whether a storage's answer may mean that the address of a part has expired: then the server is asked for another one. */
export const mayHaveExpired = (status: number): boolean => EXPIRED.has(status);

/** The address of a part that a server named: never less protected than the server itself. RESPONSE_INVALID */
export function partAddress(base: URL, text: string): URL {
  const url = parseAddress(text, base);
  const allowed = url && (url.protocol === 'https:' || (url.protocol === 'http:' && base.protocol === 'http:'));
  if (!url || !allowed || url.username || url.password || (url.protocol === 'http:' && !isLoopback(url.hostname)))
    throw new ModelGuardError('RESPONSE_INVALID', 'The server names an address of a part that is not one to ask');
  return url;
}
