/** Folders that only this user may enter. */
import { chmod, stat } from 'node:fs/promises';
import { ifSupported, makeFolder, PRIVATE, withFileErrors } from './files.js';

/** Makes a folder, and its parents where they are missing, for this user alone (0700). One that is there is closed to other users. */
export async function makePrivateFolder(path: string): Promise<void> {
  await makeFolder(path, PRIVATE);
  await closeToOthers(path);
}

/** Narrows a folder of this user to 0700. One of another user stays as it is. */
export async function closeToOthers(path: string): Promise<void> {
  const { mode, uid } = await withFileErrors('Cannot look up', path, () => stat(path));
  if ((mode & 0o077) === 0 || uid !== process.geteuid?.()) return;
  await withFileErrors('Cannot close to other users', path, () => ifSupported(chmod(path, 0o700)));
}
