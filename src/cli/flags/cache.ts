/** Flags about the cache of this machine. */
import type { Command } from 'commander';
import { userFolderHelp } from '../../files/user-folder.js';
import type { LoadOptions } from '../../index.js';
import { usage } from './common.js';

export interface CacheFlags {
  /** False with --no-cache. */
  readonly cache?: boolean;
  readonly cacheFolder?: string;
}

export const withCacheFolder = (command: Command): Command =>
  command.option('--cache-folder <DIR>', `where big parts are kept (${userFolderHelp('XDG_CACHE_HOME')})`);
export const withCache = (command: Command): Command =>
  withCacheFolder(command.option('--no-cache', 'keep no big part on this machine, and use none that is kept'));

export function cacheOf({ cache, cacheFolder }: CacheFlags): Pick<LoadOptions, 'cache'> {
  if (cache !== false) return cacheFolder === undefined ? {} : { cache: { folder: cacheFolder } };
  if (cacheFolder !== undefined) throw usage('--no-cache and --cache-folder exclude each other');
  return { cache };
}
