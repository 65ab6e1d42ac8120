/** Adds commands that act on the cache of ciphertext. */
import type { Command } from 'commander';
import { parse } from '../../../base/validate.js';
import type { Context } from '../../context.js';
import { type CacheFlags, withCacheFolder } from '../../flags/cache.js';
import { numberOf, usage, withJson } from '../../flags/common.js';
import { type CacheEntry, type CacheRemoval, type CiphertextCache, cacheOptions, openCache } from '../../sdk.js';
import type { Result } from '../../server-command.js';
import { formatBytes } from '../../text.js';

interface Flags extends CacheFlags {
  readonly maxBytes?: string;
  readonly json?: boolean;
}

/** Adds `name`, which shows the result of `act` on the cache that the flags name, then fails with the first of its failures. */
export function addCacheCommand(
  cache: Command,
  context: Context,
  name: string,
  description: string,
  act: (cache: CiphertextCache) => Promise<Result & { readonly failures?: readonly unknown[] }>,
): Command {
  const command = withJson(withCacheFolder(cache.command(name).description(description)));
  return command.action(async (flags: Flags) => {
    const { value, text, failures = [] } = await act(cacheFrom(flags));
    context.print(flags.json, value, text);
    if (failures.length > 0) throw failures[0];
  });
}

function cacheFrom({ cacheFolder: folder, maxBytes }: Flags): CiphertextCache {
  const given = { ...(folder !== undefined && { folder }), ...(maxBytes !== undefined && { maxBytes: numberOf(maxBytes) }) };
  const cache = openCache(parse(cacheOptions, given));
  if (cache) return cache;
  throw usage('There is no home folder for a cache: give --cache-folder, or set XDG_CACHE_HOME');
}

/** An entry as JSON shows it; `used` in seconds since 1970. */
export const entryOf = ({ used, ...entry }: CacheEntry) => ({ ...entry, used: Math.floor(used / 1000) });

/** Shows what was removed, and how much could not be. */
export function removed({ folder }: CiphertextCache, { removed: entries, failures }: CacheRemoval) {
  const bytes = entries.reduce((sum, { size }) => sum + size, 0);
  const count = entries.length === 1 ? '1 entry' : `${entries.length} entries`;
  const rest = failures.length === 0 ? '' : `; ${failures.length} could not be removed`;
  return { value: entries.map(entryOf), text: `${folder}: ${count} removed, ${formatBytes(bytes)}${rest}`, failures };
}
