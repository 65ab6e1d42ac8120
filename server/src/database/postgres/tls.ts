/** Demands TLS for PostgreSQL in production. */
import { isLoopback } from '@org/model-guard/server-kit';
import { refused } from '../../base/setting-schemas.js';

/**
 * @throws INVALID_ARGUMENT where passwords and rows would cross a network without TLS, or reach a server that is not verified. A
 *   text that is not a URL is refused where it is used.
 */
export function demandTls(url: string): void {
  if (!URL.canParse(url)) return;
  const { hostname, searchParams } = new URL(url);
  const modes = searchParams.getAll('sslmode');
  if (modes.length > 0 && modes.every((mode) => mode === 'verify-full')) return;
  // The driver takes the last `host`, and the URL's own where there is none.
  const host = searchParams.getAll('host').at(-1) || decodeURIComponent(hostname).replace(/^\[(.+)\]$/, '$1');
  if (!isLoopback(host) && !host.startsWith('/'))
    throw refused('NODE_ENV=production reaches a database on another machine with sslmode=verify-full in its URL alone');
}
