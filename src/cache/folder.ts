/** Makes the folder of the cache for this user alone, and refuses a folder that another user may have made. */
import type { Stats } from 'node:fs';
import { lstat, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasCode, ModelGuardError } from '../errors.js';
import { withFileErrors } from '../files/files.js';
import { closeToOthers } from '../files/private-folder.js';
import { userFolder } from '../files/user-folder.js';

const PRIVATE = 0o700;
const ADVICE =
  'Remove it, or give the cache another folder (cache: { folder }, --cache-folder), or none (cache: false, --no-cache).';

/** The folder of the cache unless the caller names one; undefined where there is no home folder. */
export const defaultCacheFolder = (): string | undefined => userFolder('XDG_CACHE_HOME');

/** Throws PERMISSION_DENIED for a file or folder that belongs to neither this user nor root. */
export function checkOwner(path: string, { uid }: Pick<Stats, 'uid'>): void {
  const user = process.geteuid?.();
  if (user === undefined || uid === user || uid === 0) return;
  throw new ModelGuardError('PERMISSION_DENIED', `${path} belongs to another user`, { advice: ADVICE });
}

export class CacheFolder {
  readonly root: string;
  /** The folder of the entries. */
  readonly entries: string;

  constructor(root: string) {
    this.root = root;
    this.entries = join(root, 'big-parts', 'v1');
  }

  /** False if the folder does not exist. PERMISSION_DENIED, SOURCE_UNSUPPORTED */
  async check(): Promise<boolean> {
    for (const path of this.#levels()) if (!(await usable(path))) return false;
    return true;
  }

  /** Makes missing folders for this user alone, and closes the cache's own folders to other users. Stops at a folder that may not be used. */
  async make(): Promise<void> {
    for (const path of this.#levels()) {
      if (!(await usable(path))) await makePrivate(path);
      // The root may be a folder that the caller shares with other programs.
      if (path !== this.root) await closeToOthers(path);
    }
  }

  #levels(): readonly string[] {
    return [this.root, dirname(this.entries), this.entries];
  }
}

/** False if the folder does not exist. */
async function usable(path: string): Promise<boolean> {
  const stats = await found(path);
  if (stats === undefined) return false;
  if (!stats.isDirectory())
    throw new ModelGuardError('SOURCE_UNSUPPORTED', `${path} is ${stats.isSymbolicLink() ? 'a symbolic link' : 'not a folder'}`, {
      advice: ADVICE,
    });
  checkOwner(path, stats);
  return true;
}

async function found(path: string): Promise<Stats | undefined> {
  try {
    return await withFileErrors('Cannot look up', path, () => lstat(path));
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

/** Node's own recursive mkdir reports a read-only file system as ENOENT. */
async function makePrivate(path: string): Promise<void> {
  const make = () => withFileErrors('Cannot make the folder', path, () => mkdir(path, PRIVATE));
  try {
    await make().catch(async (error: unknown) => {
      if (!hasCode(error, 'NOT_FOUND') || path === dirname(path)) throw error;
      await makePrivate(dirname(path));
      await make();
    });
  } catch (error) {
    if (!hasCode(error, 'ALREADY_EXISTS')) throw error;
  }
}
