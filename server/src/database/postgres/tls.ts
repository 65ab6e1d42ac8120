/** What production demands of the way to PostgreSQL. */
import { isLoopback, refused } from '../../setting-kinds.js';

/**
 * @throws INVALID_ARGUMENT where passwords and rows would go over a network without TLS, or to whoever answers. What is no URL is refused
 * where it is used.
 */
export function demandTls(url: string): void {
  if (!URL.canParse(url)) return;
  const { hostname, searchParams } = new URL(url);
  const modes = searchParams.getAll('sslmode');
  if (modes.length > 0 && modes.every((mode) => mode === 'verify-full')) return;
  // The driver takes the last one, and the URL's own where there is none.
  const host = searchParams.getAll('host').at(-1) || decodeURIComponent(hostname).replace(/^\[(.+)\]$/, '$1');
  if (!isLoopback(host) && !host.startsWith('/'))
    throw refused('NODE_ENV=production reaches a database on another machine with sslmode=verify-full in its URL alone');
}
