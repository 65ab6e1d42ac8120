/** Files that say whom to trust: only this user and root may have written them. */
import type { Stats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { dirname, isAbsolute, join, parse, resolve, sep } from 'node:path';
import { ModelGuardError } from '../errors.js';
import { exists, withFileErrors } from './files.js';

/** Write permission of the group and of all other users. */
const WRITABLE = 0o022;
const STICKY = 0o1000;
/** As many links as Linux follows. */
const MAX_LINKS = 40;

/**
 * Follows `path` from the root as a look-up does, and checks every folder, link and file on the way: owned by this user or root, and
 * writable by no other user. A folder such as /tmp, where only owners may rename, passes; its entries are checked. A path that does not
 * exist yet passes.
 * @throws FILE_UNSAFE with the path that another user can change
 */
export async function refuseUnsafeFile(path: string): Promise<void> {
  const whole = resolve(path);
  const { root } = parse(whole);
  let at = root;
  const left = whole.slice(root.length).split(sep);
  await check(at);
  for (let links = 0; links <= MAX_LINKS; ) {
    const name = left.shift();
    if (name === undefined) return;
    // `..` of a link's target means the folder that was reached, which the path as text does not tell.
    const next = name === '..' ? dirname(at) : join(at, name);
    if (!(await exists(next))) return;
    const target = await check(next);
    if (target === undefined) at = next;
    else {
      links += 1;
      if (isAbsolute(target)) at = root;
      left.unshift(...target.split(sep));
    }
  }
  throw new ModelGuardError('FILE_UNSAFE', `${path} leads over more than ${MAX_LINKS} links`);
}

/** Where a link leads; undefined for a file or folder. */
async function check(path: string): Promise<string | undefined> {
  const stats = await withFileErrors('Cannot look up', path, () => lstat(path));
  if (!isOurs(stats)) throw new ModelGuardError('FILE_UNSAFE', `${path} belongs to another user (uid ${stats.uid})`);
  // The permissions of a link mean nothing.
  if (stats.isSymbolicLink()) return await withFileErrors('Cannot read the link', path, () => readlink(path));
  const passes = stats.isDirectory() && (stats.mode & STICKY) !== 0;
  if ((stats.mode & WRITABLE) !== 0 && !passes)
    throw new ModelGuardError('FILE_UNSAFE', `Other users can write to ${path} (mode ${(stats.mode & 0o7777).toString(8)})`);
  return undefined;
}

function isOurs({ uid }: Stats): boolean {
  const user = process.geteuid?.();
  return user === undefined || uid === user || uid === 0;
}
