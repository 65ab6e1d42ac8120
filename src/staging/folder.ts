/** The folder in which one version is staged, `DIR/<name>/<version>`, held by one call at a time. */
import { lstat, mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { MAX_SMALL } from '../base/limits.js';
import { text } from '../base/schemas.js';
import { hasCode, ModelGuardError } from '../errors.js';
import {
  makeFolder,
  readBounded,
  removeQuietly,
  syncFolder,
  withFileErrors,
  writeAll,
  writeSynced,
  writeWhole,
} from '../files/files.js';
import { call } from '../native/index.js';
import { label } from '../stores/parts.js';
import type { ModelRef, UploadNotes } from '../stores/store.js';

const LOCK = 'lock';
const ATTEMPTS = 10;
const MAX_NOTES = 1024 * 1024;
const uploadShape = z.object({ part: text(64), notes: text(MAX_NOTES) });
type Upload = z.infer<typeof uploadShape>;

/**
 * Runs `task` while no other process uses the folder. The lock ends with this process, however that ends.
 * @throws IN_USE
 */
export async function withStaging<T>(dir: string, ref: ModelRef, task: (staging: StagingFolder) => Promise<T>): Promise<T> {
  const path = join(resolve(dir), ref.name, ref.version);
  const lock = await lockFolder(path, ref);
  try {
    return await task(new StagingFolder(path));
  } finally {
    await removeEmpty(path);
    lock.release();
  }
}

async function lockFolder(path: string, ref: ModelRef): Promise<{ release(): void }> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      await makePrivate(path);
      const lock = await call((native) => native.lockFile(join(path, LOCK)));
      if (lock) return lock;
    } catch (error) {
      // Its former holder may have removed the folder meanwhile.
      if (!hasCode(error, 'NOT_FOUND') || attempts === ATTEMPTS) throw error;
      continue;
    }
    throw new ModelGuardError('IN_USE', `${label(ref)} is being published from ${path} at this moment`);
  }
}

/**
 * Files that another user put there would be published as this user's. Reading does no harm: the files in it are private, where the
 * file system has modes (exFAT shows one mode for all).
 */
async function makePrivate(path: string): Promise<void> {
  await makeFolder(dirname(path));
  try {
    await withFileErrors('Cannot make the folder', path, () => mkdir(path, 0o700));
    await syncFolder(dirname(path));
  } catch (error) {
    if (!hasCode(error, 'ALREADY_EXISTS')) throw error;
    const { mode, uid } = await withFileErrors('Cannot look up', path, () => lstat(path));
    if (uid !== process.geteuid?.() || (mode & 0o170022) !== 0o040000)
      throw new ModelGuardError('PERMISSION_DENIED', `${path} is not a folder that this user alone can write to`, {
        advice: 'Remove it, or stage elsewhere: files that another user put there would be published.',
      });
  }
}

export class StagingFolder {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** The ciphertext of the big part. */
  get big(): string {
    return join(this.#path, 'big');
  }

  get #small(): string {
    return join(this.#path, 'small');
  }

  get #source(): string {
    return join(this.#path, 'source');
  }

  get #upload(): string {
    return join(this.#path, 'upload.json');
  }

  /** The committed small part, and the digest of its source. */
  async read(): Promise<{ readonly small: Uint8Array; readonly source: string }> {
    const small = await readBounded(this.#small, MAX_SMALL);
    return { small, source: textOf(await readBounded(this.#source, MAX_NOTES)) };
  }

  /** The big part is here and synced. Its small part is the commit: what has none is begun anew. */
  async commit(small: Uint8Array, source: string): Promise<void> {
    await writeSynced(this.#source, (handle) => writeAll(handle, bytesOf(source)));
    await writeWhole(this.#small, (handle) => writeAll(handle, small), { overwrite: false });
  }

  /** The store's notes about the upload of this big part. */
  notes(part: string): UploadNotes {
    return {
      read: async () => {
        const upload = await this.upload();
        return upload?.part === part ? upload.notes : undefined;
      },
      write: (notes) =>
        writeWhole(this.#upload, (handle) => writeAll(handle, bytesOf(JSON.stringify({ part, notes } satisfies Upload))), {
          overwrite: true,
        }),
    };
  }

  /** The notes that are here, whatever they belong to; undefined if they cannot be read. */
  async upload(): Promise<Upload | undefined> {
    try {
      return uploadShape.parse(JSON.parse(textOf(await readBounded(this.#upload, MAX_NOTES))));
    } catch {
      return undefined;
    }
  }

  /** The small part and what it was made from go last: by them a later run sees that all is done, if this one ends here. */
  async clear(): Promise<void> {
    const last = [this.#small, this.#source];
    const names = await withFileErrors('Cannot list', this.#path, () => readdir(this.#path));
    const others = names.filter((name) => name !== LOCK).map((name) => join(this.#path, name));
    for (const file of [...others.filter((one) => !last.includes(one)), ...last]) await remove(file);
    await syncFolder(this.#path);
  }
}

async function remove(file: string): Promise<void> {
  await withFileErrors('Cannot remove', file, () => rm(file, { recursive: true, force: true }));
}

/** Nothing is staged any more, or nothing was. */
async function removeEmpty(path: string): Promise<void> {
  const names = await readdir(path).catch(() => undefined);
  if (names?.join() !== LOCK) return;
  await removeQuietly(join(path, LOCK));
  for (const folder of [path, dirname(path)]) await rmdir(folder).catch(() => undefined);
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'utf8');
