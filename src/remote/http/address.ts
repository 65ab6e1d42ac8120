/** Where a guard server is, and which addresses may be asked on its behalf. */
import { ModelGuardError } from '../../errors.js';

/** Names and addresses of this machine, as `URL` writes them. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** https everywhere, http to this machine alone. INVALID_ARGUMENT */
export function serverAddress(text: string): URL {
  const url = parsed(text);
  if (url === undefined) throw refused('is not a URL');
  if (url.username || url.password) throw refused('must not hold a user or a password');
  if (url.search || url.hash) throw refused('must not hold a query or a fragment');
  if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname))
    throw refused('is http:// to another machine; only https:// leaves this one');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused('is neither https:// nor http://');
  return url;
}

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

/** The address of a part that a server named: never less protected than the server itself. RESPONSE_INVALID */
export function partAddress(base: URL, text: string): URL {
  const url = parsed(text, base);
  const allowed = url && (url.protocol === 'https:' || (url.protocol === 'http:' && base.protocol === 'http:'));
  if (!url || !allowed || url.username || url.password || (url.protocol === 'http:' && !LOOPBACK.test(url.hostname)))
    throw new ModelGuardError('RESPONSE_INVALID', 'The server names an address of a part that is not one to ask');
  return url;
}

function parsed(text: string, base?: URL): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

const refused = (why: string): ModelGuardError => new ModelGuardError('INVALID_ARGUMENT', `options.url: ${why}`);
