/** `cache`: the big parts that are kept on this machine, encrypted as they came. */
import type { Command } from 'commander';
import { type CacheEntry, type CiphertextCache, DEFAULT_MAX_BYTES, openCache } from '../../cache/cache.js';
import { cacheOptions, parse } from '../../options.js';
import { type CacheFlags, withCacheFolder } from '../cache-flags.js';
import type { Context } from '../context.js';
import { example, numberOf, usage, withJson } from '../flags.js';
import { group, type Shown, when } from '../groups.js';
import { columns, formatBytes } from '../output.js';

interface Flags extends CacheFlags {
  readonly maxBytes?: string;
  readonly json?: boolean;
}

export function registerCache(program: Command, context: Context): void {
  const cache = group(program, 'cache', 'big parts that are kept on this machine, encrypted: list, trim, clear');
  const subcommand = (name: string, description: string, act: (opened: CiphertextCache) => Promise<Shown>): Command => {
    const command = withJson(withCacheFolder(cache.command(name).description(description)));
    return command.action(async (flags: Flags) => {
      const { value, text } = await act(opened(flags));
      context.print(flags.json, value, text);
    });
  };
  subcommand('list', 'what is kept, the last used first', async (opened) => {
    const value = await opened.list();
    return { value: value.map(shown), text: value.length === 0 ? 'None.' : table(value) };
  });
  subcommand('trim', 'remove what was used least recently, down to a size', async (opened) =>
    removed(opened, await opened.trim()),
  ).option('--max-bytes <N>', 'how much may stay', String(DEFAULT_MAX_BYTES));
  subcommand('clear', 'remove everything', async (opened) => removed(opened, await opened.clear()));
  example(cache, 'model-guard cache list', 'model-guard cache trim --max-bytes 10000000000');
}

function opened({ cacheFolder: folder, maxBytes }: Flags): CiphertextCache {
  const given = { ...(folder !== undefined && { folder }), ...(maxBytes !== undefined && { maxBytes: numberOf(maxBytes) }) };
  const cache = openCache(parse(cacheOptions, given));
  if (cache) return cache;
  throw usage('There is no home folder to keep big parts in: give --cache-folder, or set XDG_CACHE_HOME');
}

const shown = ({ digest, offset, size, used }: CacheEntry) => ({ digest, offset, size, used: Math.floor(used / 1000) });
const sum = (entries: readonly CacheEntry[]): number => entries.reduce((bytes, { size }) => bytes + size, 0);

const table = (entries: readonly CacheEntry[]): string =>
  columns([
    ['payload', 'from byte', 'size', 'used'],
    ...entries.map(({ digest, offset, size, used }) => [
      digest.slice(0, 16),
      String(offset),
      formatBytes(size),
      when(Math.floor(used / 1000)),
    ]),
  ]);

const removed = ({ folder }: CiphertextCache, entries: readonly CacheEntry[]): Shown => ({
  value: entries.map(shown),
  text: `${folder}: ${entries.length === 1 ? '1 big part' : `${entries.length} big parts`} removed, ${formatBytes(sum(entries))}`,
});
