/** Addresses that callers give. */
import { type ModelGuardError, optionError } from '../errors.js';
import { MAX_URL } from '../limits.js';

/** Names and addresses of this machine, as `URL` writes them. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

export const isThisMachine = ({ hostname }: URL): boolean => LOOPBACK.test(hostname);

export function parseAddress(text: string, base?: URL): URL | undefined {
  if (text.length > MAX_URL) return undefined;
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

/**
 * https everywhere, http to this machine alone. INVALID_ARGUMENT
 * @param what Names the argument.
 */
export function safeAddress(text: string, what: string): URL {
  const refused = (why: string): ModelGuardError => optionError('INVALID_ARGUMENT', what, why);
  const url = parseAddress(text);
  if (url === undefined) throw refused('is not a URL');
  if (url.username || url.password) throw refused('must not hold a user or a password');
  if (url.search || url.hash) throw refused('must not hold a query or a fragment');
  if (url.protocol === 'http:' && !isThisMachine(url))
    throw refused('is http:// to another machine; only https:// leaves this one');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused('is neither https:// nor http://');
  return url;
}
