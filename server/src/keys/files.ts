/** Names, lists and reads the files of keys. */
import { readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DeviceKey, isTemporary, ModelGuardError } from '@org/model-guard/server-kit';
import type { Config } from '../base/config.js';

/** The folders of key files, and the rules for them. */
export type KeyPlaces = Pick<Config, 'keysFolder' | 'secretsFolder' | 'production'>;
/** Reads and makes keys of one class. */
export interface KeyClass<Key> {
  generate(): Key;
  fromFile(path: string): Promise<Key>;
}

const NAME = /^encryption-[A-Za-z0-9_-]{16}\.key$/;
/** A temporary file that is older was left by a process that was killed. */
const LEFTOVER_MS = 60_000;
/** `mgx1:`, `mgs1:` */
const PREFIX = 5;
const idOf = (key: string): string => key.slice(PREFIX, PREFIX + 16);

/** The file of an encryption key (`mgx1:…`). */
export const encryptionKeyFile = (keysFolder: string, key: string): string => join(keysFolder, `encryption-${idOf(key)}.key`);

/** The file of a signing key (`mgs1:…`) that succeeded another one. */
export const signingKeyFile = (keysFolder: string, key: string): string => join(keysFolder, `signing-${idOf(key)}.key`);

/** The file of an encryption or signing key. */
export const keyFile = (keysFolder: string, key: string): string =>
  (key.startsWith('mgs1:') ? signingKeyFile : encryptionKeyFile)(keysFolder, key);

/**
 * Every encryption key that exists: the one among the secrets first, then those of the keys folder. Another process may remove
 * one meanwhile.
 */
export async function readEncryptionKeys(places: KeyPlaces): Promise<readonly DeviceKey[]> {
  const { keysFolder, secretsFolder } = places;
  const secrets = (await listNames(secretsFolder)).filter((name) => name === 'model_guard_encryption_key');
  const files = (await listNames(keysFolder)).filter((name) => NAME.test(name)).sort();
  const paths = [...secrets.map((name) => join(secretsFolder, name)), ...files.map((name) => join(keysFolder, name))];
  const found = await Promise.all(paths.map((path) => readKey<DeviceKey>(DeviceKey, path, places).catch(undefinedIfGone)));
  return found.filter((key) => key !== undefined);
}

function undefinedIfGone(error: unknown): undefined {
  const { code } = error as { code?: unknown };
  if (code !== 'NOT_FOUND' && code !== 'ENOENT') throw error;
}

/**
 * Forbidden mode bits of mounted secrets, which the server's group may read, as Kubernetes mounts them; other key files are for
 * this user alone.
 */
const SECRET_FORBIDDEN = 0o027;
const FILE_FORBIDDEN = 0o077;

/** @throws PERMISSION_DENIED in production where other users can read or write the file; the errors of reading it */
export async function readKey<Key>(kind: KeyClass<Key>, path: string, { production, secretsFolder }: KeyPlaces): Promise<Key> {
  // Windows has no such modes.
  if (production && process.platform !== 'win32') {
    const forbidden = dirname(path) === secretsFolder ? SECRET_FORBIDDEN : FILE_FORBIDDEN;
    const { mode } = await stat(path);
    if ((mode & forbidden) !== 0)
      throw new ModelGuardError('PERMISSION_DENIED', `Other users can read or write the key ${path}`, {
        advice: `Run chmod 600 ${path}, or set the mode of a mounted secret to 0440. In production (NODE_ENV=production) no other user may read or write a key.`,
      });
  }
  return kind.fromFile(path);
}

/** Removes temporary files of processes that were killed; only older ones, since another process may be writing now. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await listNames(folder)) {
    if (!isTemporary(name)) continue;
    const path = join(folder, name);
    // Another process may have finished it just now.
    const found = await stat(path).catch(undefinedIfGone);
    if (found && Date.now() - found.mtimeMs > LEFTOVER_MS) await rm(path, { force: true });
  }
}

/** Names in a folder; none where the folder does not exist. IO_FAILED */
export async function listNames(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new ModelGuardError('IO_FAILED', `Could not list ${folder}`, { cause });
  }
}
