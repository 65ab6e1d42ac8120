/** Where keys lie that replaced others, and which are there. */
import { readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DeviceKey, ModelGuardError } from '@org/model-guard/server-kit';
import type { Config } from '../config.js';

/** Where key files lie, and by which rules. */
export type Places = Pick<Config, 'keysFolder' | 'secretsFolder' | 'production'>;
/** What a key file is read as. */
export interface KeyClass<Key> {
  generate(): Key;
  fromFile(path: string): Promise<Key>;
}

const NAME = /^encryption-[A-Za-z0-9_-]{16}\.key$/;
const LEFTOVER = /\.key\.tmp-|^\.tmp-[0-9a-f]{24}$/;
const LEFTOVER_MS = 60_000;
/** `mgx1:`, `mgs1:` */
const PREFIX = 5;
const idOf = (key: string): string => key.slice(PREFIX, PREFIX + 16);

/** The file of an encryption key (`mgx1:…`). */
export const encryptionKeyFile = (keysFolder: string, key: string): string => join(keysFolder, `encryption-${idOf(key)}.key`);

/** The file of a signing key (`mgs1:…`) that succeeded another one. */
export const signingKeyFile = (keysFolder: string, key: string): string => join(keysFolder, `signing-${idOf(key)}.key`);

/** Of either. */
export const keyFile = (keysFolder: string, key: string): string =>
  (key.startsWith('mgs1:') ? signingKeyFile : encryptionKeyFile)(keysFolder, key);

/** Every encryption key that is there: the one among the secrets first, then those of the keys folder. Another process may remove one meanwhile. */
export async function candidates(places: Places): Promise<readonly DeviceKey[]> {
  const { keysFolder, secretsFolder } = places;
  const secrets = (await namesIn(secretsFolder)).filter((name) => name === 'model_guard_encryption_key');
  const files = (await namesIn(keysFolder)).filter((name) => NAME.test(name)).sort();
  const paths = [...secrets.map((name) => join(secretsFolder, name)), ...files.map((name) => join(keysFolder, name))];
  const found = await Promise.all(paths.map((path) => readKey<DeviceKey>(DeviceKey, path, places).catch(unlessGone)));
  return found.filter((key) => key !== undefined);
}

function unlessGone(error: unknown): undefined {
  const { code } = error as { code?: unknown };
  if (code !== 'NOT_FOUND' && code !== 'ENOENT') throw error;
}

/** Mounted secrets may be readable for the group that runs the server, as Kubernetes mounts them; other key files for nobody else. */
const SECRET_OPEN = 0o027;
const FILE_OPEN = 0o077;

/** @throws PERMISSION_DENIED in production where others can read or write the file; what reading it throws */
export async function readKey<Key>(kind: KeyClass<Key>, path: string, { production, secretsFolder }: Places): Promise<Key> {
  // Windows has no such modes.
  if (production && process.platform !== 'win32') {
    const open = dirname(path) === secretsFolder ? SECRET_OPEN : FILE_OPEN;
    const { mode } = await stat(path);
    if ((mode & open) !== 0)
      throw new ModelGuardError('PERMISSION_DENIED', `Others than this user can read or write the key ${path}`, {
        advice: `chmod 600 ${path}: NODE_ENV=production runs with no key that others may know.`,
      });
  }
  return kind.fromFile(path);
}

/** Of key files that a killed process was writing; older ones, since another process may be writing now. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    if (!LEFTOVER.test(name)) continue;
    const path = join(folder, name);
    // Another process may have finished it just now.
    const found = await stat(path).catch(unlessGone);
    if (found && Date.now() - found.mtimeMs > LEFTOVER_MS) await rm(path, { force: true });
  }
}

/** Names in a folder; none where there is no such folder. IO_FAILED */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new ModelGuardError('IO_FAILED', `Could not list ${folder}`, { cause });
  }
}
