/** Files whose kind of key is not known beforehand, as on a command line. */
import { stat } from 'node:fs/promises';
import { readBounded, readSome, withFile, withFileErrors } from '../files/files.js';
import { readKeyFile } from './files.js';
import { type DeviceKey, type MasterKey, make, type SigningKey } from './secret.js';
import { looksLikeKey } from './text.js';

const MAX_TEXT = 256;

/** Whatever key a key file holds. KEY_INVALID, NOT_FOUND, PERMISSION_DENIED */
export async function readAnyKey(path: string): Promise<MasterKey | DeviceKey | SigningKey> {
  const { key, type } = await readKeyFile(path);
  // A key file never holds a passphrase or a key string of the legacy profile.
  return make[type as Exclude<typeof type, 'passphrase' | 'legacy'>](key);
}

/** As long as the beginning of every other kind of key file, so that nothing secret is read. */
const SEALED = 'model-guard-key v1 device sealed';

/** Whether a key file is sealed to its machine. Undefined of a pipe, which gives its bytes once. */
export async function isSealedFile(path: string): Promise<boolean | undefined> {
  const found = await withFileErrors('Cannot read', path, () => stat(path));
  return found.isFIFO() ? undefined : (await beginningOf(path, SEALED.length)) === SEALED;
}

async function beginningOf(path: string, length: number): Promise<string> {
  return await withFile(path, async ({ handle }) => {
    const bytes = new Uint8Array(length);
    const bytesRead = await readSome(handle, bytes, 0);
    return Buffer.from(bytes.subarray(0, bytesRead)).toString('latin1');
  });
}

/**
 * The public key text that a file holds; undefined if it holds something else, of which nothing more than 5 bytes is read. Nothing is read
 * from a pipe: it gives its bytes once, they may be a secret key, and the native code waits for its writer on a thread of its own.
 */
export async function readPublicText(path: string): Promise<string | undefined> {
  const found = await withFileErrors('Cannot read', path, () => stat(path));
  if (found.isFIFO()) return undefined;
  if (!looksLikeKey(await beginningOf(path, 'mgx1:'.length))) return undefined;
  return Buffer.from(await readBounded(path, MAX_TEXT))
    .toString('utf8')
    .trim();
}
