/** Where keys lie that replaced others, and which are there. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DeviceKey } from '@org/model-guard/server-kit';
import type { Config } from '../config.js';

const NAME = /^encryption-[A-Za-z0-9_-]{16}\.key$/;
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

/** Every encryption key that is there: the one among the secrets first, then those of the keys folder. */
export async function candidates({
  keysFolder,
  secretsFolder,
}: Pick<Config, 'keysFolder' | 'secretsFolder'>): Promise<readonly DeviceKey[]> {
  const secrets = (await names(secretsFolder)).filter((name) => name === 'model_guard_encryption_key');
  const files = (await names(keysFolder)).filter((name) => NAME.test(name)).sort();
  const paths = [...secrets.map((name) => join(secretsFolder, name)), ...files.map((name) => join(keysFolder, name))];
  return Promise.all(paths.map((path) => DeviceKey.fromFile(path)));
}

async function names(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}
