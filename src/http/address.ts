/** Addresses that callers give. */
import { isIP } from 'node:net';
import { MAX_URL } from '../base/limits.js';
import { type ModelGuardError, optionError } from '../errors.js';

/** Whether a host name or an IP address is this machine; IPv6 with or without brackets. */
export const isLoopback = (host: string): boolean => {
  const address = host.replace(/^\[(.*)\]$/, '$1');
  return address === 'localhost' || address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
};

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
  // `127.0.0.1:8080` is none, and of `localhost:8080` the name is taken for a protocol.
  if (url === undefined || (!text.includes('://') && parseAddress(`https://${text}`)))
    throw refused(text.includes('://') ? 'is not a URL' : 'does not begin with https:// (to this machine http://)');
  if (url.username || url.password) throw refused('must not hold a user or a password');
  if (url.search || url.hash) throw refused('must not hold a query or a fragment');
  if (url.protocol === 'http:' && !isLoopback(url.hostname))
    throw refused('is http:// to another machine; only https:// leaves this one');
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refused('is neither https:// nor http://');
  return url;
}
