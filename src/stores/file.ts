/** A store in a folder: `small/<name>/<version>`, `big/<payloadId>-<offset>` and its `.tree` (docs/format.md, section 10). */
import { lstat, rename, utimes } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { throwIfAborted } from '../base/abort.js';
import { MAX_SMALL } from '../base/limits.js';
import { filePath, parse } from '../base/validate.js';
import { hasCode, ModelGuardError } from '../errors.js';
import {
  type FileMode,
  isTemporary,
  makeFolder,
  openRegular,
  PRIVATE,
  readAll,
  readBounded,
  removeQuietly,
  setMode,
  syncFile,
  syncFolder,
  temporaryBeside,
  withFile,
  withFileErrors,
  writeAll,
  writeWhole,
} from '../files/files.js';
import { collectFolder, listFolder } from './folder.js';
import { bigPartOf, checkedBigName, checkedRef, checkSmallSize, label, referencedBy, treeLimit } from './parts.js';
import type { BigPartSource, CollectOptions, ModelRef, OpenBigPart, PartStore, StoreOptions } from './store.js';

/** Read and write permissions; a store must be able to read and replace its own files. */
const fileMode = z
  .int()
  .refine(
    (mode) => (mode & ~0o666) === 0 && (mode & 0o600) === 0o600,
    'wants permissions from 0o600 to 0o666, without execution',
  );

export const fileStoreOptions = z.strictObject({ graceMs: z.number().min(0).optional(), mode: fileMode.optional() }).optional();

/** Options of {@link fileStore}. */
export interface FileStoreOptions {
  /**
   * How long an unreferenced big part or a temporary file stays, in milliseconds: readers that still use a replaced version
   * finish meanwhile. Default: 24 hours.
   */
  readonly graceMs?: number | undefined;
  /**
   * Permissions of new files, such as 0o644; of new folders, too, where those who may read may also list. Default: the umask decides
   * about folders, big parts and their trees, and small parts are 0o600. Those who can read a small part can guess its passphrases and
   * the factors of its machines without a limit, so let other users read them only where it has neither or is behind authentication.
   */
  readonly mode?: number | undefined;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * A PartStore in a folder of this machine. Every write is a synced temporary beside its target, then one rename: a crash
 * leaves the old version or the new one. The `big` folder of one file store must not serve other small parts, unless
 * those stores never call `collect`.
 * @param folder Made when something is first stored.
 * @throws INVALID_ARGUMENT
 * @example
 * const store = fileStore('/srv/models');
 */
export function fileStore(folder: string, options?: FileStoreOptions): PartStore {
  const { graceMs = DAY_MS, mode } = parse(fileStoreOptions, options) ?? {};
  return new FileStore(resolve(parse(filePath, folder, 'folder')), graceMs, mode);
}

class FileStore implements PartStore {
  readonly #folder: string;
  readonly #graceMs: number;
  readonly #smallMode: FileMode;
  /** Of big parts, trees and folders. */
  readonly #mode: FileMode;

  constructor(folder: string, graceMs: number, mode: number | undefined) {
    this.#folder = folder;
    this.#graceMs = graceMs;
    this.#smallMode = mode ?? PRIVATE;
    this.#mode = mode ?? 'umask';
  }

  #smallPath(ref: ModelRef): string {
    const { name, version } = checkedRef(ref);
    return join(this.#folder, 'small', name, version);
  }

  #bigPath(name: string): string {
    return join(this.#folder, 'big', checkedBigName(name));
  }

  async getSmall(ref: ModelRef, { signal }: StoreOptions = {}): Promise<Uint8Array> {
    throwIfAborted(signal);
    return missing(`The small part of ${label(ref)}`, this.#smallPath(ref), (path) => readBounded(path, MAX_SMALL));
  }

  async putSmall(
    ref: ModelRef,
    bytes: Uint8Array,
    { ifAbsent = false, signal }: StoreOptions & { readonly ifAbsent?: boolean | undefined } = {},
  ): Promise<void> {
    throwIfAborted(signal);
    const path = this.#smallPath(ref);
    checkSmallSize(bytes.length, `The small part of ${label(ref)}`);
    await makeFolder(dirname(path), this.#mode);
    if (!ifAbsent) await this.#startGrace(path);
    try {
      await writeWhole(path, (handle) => writeAll(handle, bytes), { overwrite: !ifAbsent, mode: this.#smallMode });
    } catch (error) {
      if (hasCode(error, 'ALREADY_EXISTS'))
        throw new ModelGuardError('ALREADY_EXISTS', `${label(ref)} is published already (${path})`, { cause: error.cause });
      throw error;
    }
  }

  /** A big part's age counts from when it was replaced, not from when it was written. */
  async #startGrace(path: string): Promise<void> {
    try {
      const { name } = bigPartOf(await readBounded(path, MAX_SMALL));
      const now = new Date();
      await utimes(this.#bigPath(name), now, now);
    } catch {
      // Nothing was published, or its big part lies elsewhere: then nothing here gets collected either.
    }
  }

  async localTarget(_ref: ModelRef, name: string): Promise<string> {
    const path = this.#bigPath(name);
    await makeFolder(dirname(path), this.#mode);
    return temporaryBeside(path);
  }

  /** A file from localTarget is renamed; any other file is copied. */
  #isTarget(file: string): boolean {
    return dirname(file) === join(this.#folder, 'big') && isTemporary(basename(file));
  }

  async putBig(ref: ModelRef, name: string, source: BigPartSource, { signal }: StoreOptions = {}): Promise<void> {
    throwIfAborted(signal);
    const path = this.#bigPath(name);
    checkedRef(ref);
    const own = source.file !== undefined && this.#isTarget(source.file) ? source.file : undefined;
    try {
      await makeFolder(dirname(path), this.#mode);
      if (await isThere(path, source)) source.skipped?.(source.size);
      else if (own) await this.#adopt(own, path, source.size);
      else await this.#copy(path, source, signal);
    } catch (error) {
      if (own) await removeQuietly(own);
      throw error;
    }
    // The part is whole without it: a tree that was never written costs partial readers a pass, nothing else.
    const tree = source.tree();
    const writing = writeWhole(`${path}.tree`, (handle) => writeAll(handle, tree), { overwrite: true, mode: this.#mode });
    await writing.catch(() => throwIfAborted(signal));
  }

  async #adopt(temporary: string, path: string, size: number): Promise<void> {
    await withFile(temporary, async ({ handle, size: found }) => {
      if (found !== size) throw wrongSize(path, size);
      if (this.#mode !== 'umask') await setMode(handle, this.#mode);
    });
    await syncFile(temporary);
    await withFileErrors('Cannot write', path, () => rename(temporary, path));
    await syncFolder(dirname(path));
  }

  async #copy(path: string, source: BigPartSource, signal: StoreOptions['signal']): Promise<void> {
    await writeWhole(
      path,
      async (handle) => {
        let done = 0;
        for await (const piece of source.stream()) {
          throwIfAborted(signal);
          await writeAll(handle, piece);
          done += piece.length;
        }
        if (done !== source.size) throw wrongSize(path, source.size);
      },
      { overwrite: false, mode: this.#mode },
    );
  }

  async openBig(ref: ModelRef, name: string, { signal }: StoreOptions = {}): Promise<OpenBigPart> {
    throwIfAborted(signal);
    const path = this.#bigPath(name);
    const { handle, size } = await missing(`The big part of ${label(ref)}`, path, openRegular);
    let closing: Promise<void> | undefined;
    return {
      size,
      file: path,
      read: async (offset, length, options = {}) => {
        throwIfAborted(options.signal);
        const bytes = new Uint8Array(length);
        await withFileErrors('Cannot read', path, () => readAll(handle, bytes, offset, path));
        return bytes;
      },
      tree: async () => {
        try {
          return await readBounded(`${path}.tree`, treeLimit(size));
        } catch (error) {
          if (hasCode(error, 'NOT_FOUND')) return undefined;
          throw error;
        }
      },
      close: () => {
        closing ??= handle.close();
        return closing;
      },
    };
  }

  list({ signal }: StoreOptions = {}): AsyncIterable<ModelRef> {
    return listFolder(this.#folder, signal);
  }

  collect({ referenced, signal }: CollectOptions = {}): Promise<readonly string[]> {
    return collectFolder(this.#folder, {
      graceMs: this.#graceMs,
      signal,
      referenced: async () => referenced ?? (await referencedBy(this, signal)),
    });
  }
}

/** Tells whether an earlier run of a staged publication stored the part. ALREADY_EXISTS where another one did; IO_FAILED for another size */
async function isThere(path: string, { size, notes }: BigPartSource): Promise<boolean> {
  let there: number;
  try {
    there = (await withFileErrors('Cannot look up', path, () => lstat(path))).size;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return false;
    throw error;
  }
  if (there !== size)
    throw new ModelGuardError('IO_FAILED', `${path} already exists, with ${there} bytes instead of ${size}`, {
      advice: 'No other part has this name: remove it, then publish again.',
    });
  if (!notes) throw new ModelGuardError('ALREADY_EXISTS', `${path} already exists`);
  return true;
}

async function missing<T>(what: string, path: string, task: (path: string) => Promise<T>): Promise<T> {
  try {
    return await task(path);
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND'))
      throw new ModelGuardError('NOT_FOUND', `${what} is not there (${path})`, { cause: error.cause });
    throw error;
  }
}

const wrongSize = (path: string, size: number) =>
  new ModelGuardError('IO_FAILED', `What was to become ${path} is not ${size} bytes long`);
