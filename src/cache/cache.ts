/**
 * Caches big parts from a network as they arrive, and artifacts that runtimes derived from models: ciphertext. Nothing in the cache is
 * trusted: a load verifies a cached file like bytes from the network.
 */
import { constants } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { hasCode, ModelGuardError } from '../errors.js';
import { isTemporary, notRegular, removeQuietly, withFileErrors } from '../files/files.js';
import { type CacheEntry, type EntryName, fileNameOf, parseFileName } from './entry.js';
import { CacheFolder, checkOwner, defaultCacheFolder } from './folder.js';
import type { CacheOptions } from './options.js';
import { type Removal, Remover } from './remover.js';
import { type Disk, diskOf, leavesRoom } from './space.js';
import { markUsed } from './use-time.js';
import { warn, warnUnused } from './warn.js';
import { CacheWriter } from './writer.js';

export const DEFAULT_MAX_BYTES = 32 * 1024 ** 3;
/** A temporary file to which nothing was written for so long was left by a crash. */
const LEFTOVER_MS = 60 * 60 * 1000;

interface CiphertextCacheOptions {
  readonly folder: string;
  readonly maxBytes: number;
  /** The folder is the default one: no warning if it cannot be written to. */
  readonly assumed?: boolean | undefined;
  readonly disk?: ((folder: string) => Promise<Disk>) | undefined;
}

/** The cache for the options of `load`; undefined where it is switched off, or where there is no home folder. */
export function openCache(options: CacheOptions | false | undefined): CiphertextCache | undefined {
  if (options === false) return undefined;
  const { folder = defaultCacheFolder(), maxBytes = DEFAULT_MAX_BYTES } = options ?? {};
  if (folder === undefined) return undefined;
  return new CiphertextCache({ folder: resolve(folder), maxBytes, assumed: options?.folder === undefined });
}

/** Several processes may use one folder at once: an entry is there whole or not at all, and no process waits for another. */
export class CiphertextCache {
  readonly #folder: CacheFolder;
  readonly #maxBytes: number;
  readonly #assumed: boolean;
  readonly #disk: (folder: string) => Promise<Disk>;

  constructor({ folder, maxBytes, assumed = false, disk = diskOf }: CiphertextCacheOptions) {
    this.#folder = new CacheFolder(folder);
    this.#maxBytes = maxBytes;
    this.#assumed = assumed;
    this.#disk = disk;
  }

  get folder(): string {
    return this.#folder.root;
  }

  #path(name: EntryName): string {
    return join(this.#folder.entries, fileNameOf(name));
  }

  /**
   * The file of the whole entry, which is marked as used now. Another process may remove it before it is opened. Never rejects.
   * @param key With its size where that is known.
   */
  async find(key: EntryName & { readonly size?: number }): Promise<string | undefined> {
    const path = this.#path(key);
    try {
      return (await this.#folder.check()) && (await use(path, key.size)) ? path : undefined;
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND') && !this.#expected(error)) warnUnused(error);
      return undefined;
    }
  }

  /** Begins to write an entry. Undefined where it cannot be cached; never rejects. */
  async begin(key: EntryName & { readonly size: number }): Promise<CacheWriter | undefined> {
    try {
      if (key.size > this.#maxBytes)
        throw new ModelGuardError('LIMIT_EXCEEDED', `${key.size} bytes are more than the cache may hold`, {
          advice: 'Allow more (cache: { maxBytes }), or load without it (cache: false, --no-cache).',
        });
      if (!(await this.#makeFolder())) return undefined;
      // First of all, so that leftovers of crashes do not count as a full disk.
      await this.#trimWithWarnings();
      await this.#checkRoom(key.size);
      return await CacheWriter.create({
        path: this.#path(key),
        size: key.size,
        checkRoom: () => this.#checkRoom(0),
        isCached: async () => (await this.find(key)) !== undefined,
        onPlaced: () => this.#trimWithWarnings().catch(warnUnused),
      });
    } catch (error) {
      warnUnused(error);
      return undefined;
    }
  }

  /** Removes an entry that is damaged. Never rejects: if the file stays, the next load finds the damage again. */
  async drop(name: EntryName): Promise<void> {
    await removeQuietly(this.#path(name));
  }

  /** The entries, the most recently used first. */
  async list(): Promise<readonly CacheEntry[]> {
    return (await this.#survey()).entries;
  }

  /** Removes leftovers of crashes, and the least recently used entries until the rest is within the limit. */
  async trim(): Promise<Removal> {
    const { entries, temporaries } = await this.#survey();
    const remover = new Remover();
    const before = Date.now() - LEFTOVER_MS;
    for (const { path, changed } of temporaries) if (changed < before) await remover.remove(path);
    let bytes = entries.reduce((sum, { size }) => sum + size, 0);
    for (const entry of [...entries].reverse()) {
      // What was used last stays if it fits: a large entry that cannot be removed would empty the cache after each load.
      if (bytes <= this.#maxBytes || (entry === entries[0] && entry.size <= this.#maxBytes)) break;
      // An entry that stays takes its space: the next one goes instead.
      if (await remover.remove(this.#path(entry), entry)) bytes -= entry.size;
    }
    return remover;
  }

  /** Removes every entry, and the temporary files of parts that are being written. */
  async clear(): Promise<Removal> {
    const { entries, temporaries } = await this.#survey();
    const remover = new Remover();
    for (const { path } of temporaries) await remover.remove(path);
    for (const entry of entries) await remover.remove(this.#path(entry), entry);
    return remover;
  }

  async #trimWithWarnings(): Promise<void> {
    for (const failure of (await this.trim()).failures) warn('The cache is larger than it may be', failure);
  }

  /** Whether there is a folder to write to. */
  async #makeFolder(): Promise<boolean> {
    try {
      await this.#folder.make();
    } catch (error) {
      if (this.#expected(error)) return false;
      throw error;
    }
    return true;
  }

  /**
   * The system allows no cache in the default folder, as in many containers. A folder of another user is not expected: that error has no
   * cause.
   */
  #expected(error: unknown): boolean {
    return this.#assumed && (hasCode(error, 'READ_ONLY') || hasCode(error, 'PERMISSION_DENIED')) && error.cause !== undefined;
  }

  async #checkRoom(bytes: number): Promise<void> {
    if (leavesRoom(await this.#disk(this.#folder.entries), bytes)) return;
    throw new ModelGuardError('NO_SPACE', `the disk of ${this.#folder.entries} is too full`, {
      advice: 'Free some space (`model-guard cache clear`), or give the cache a folder on another disk.',
    });
  }

  async #survey() {
    const entries: CacheEntry[] = [];
    const temporaries: { readonly path: string; readonly changed: number }[] = [];
    const names = (await this.#folder.check()) ? await namesIn(this.#folder.entries) : [];
    for (const name of names) {
      const path = join(this.#folder.entries, name);
      const stats = await lstat(path).catch(() => undefined);
      if (!stats?.isFile()) continue;
      const named = parseFileName(name);
      if (named) entries.push({ ...named, size: stats.size, used: stats.mtimeMs });
      else if (isTemporary(name)) temporaries.push({ path, changed: stats.mtimeMs });
    }
    return { entries: entries.sort((a, b) => b.used - a.used), temporaries };
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await withFileErrors('Cannot list', folder, () => readdir(folder));
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return [];
    throw error;
  }
}

/** Whether the path is a file of this user, with this size if one is given; if so, it is marked as used. A file of another size is removed. */
async function use(path: string, size?: number): Promise<boolean> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  return withFileErrors('Cannot open', path, async () => {
    const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stats = await handle.stat();
      checkOwner(path, stats);
      if (!stats.isFile()) throw notRegular(path, stats);
      if (size !== undefined && stats.size !== size) {
        await removeQuietly(path);
        return false;
      }
      await markUsed(handle);
      return true;
    } finally {
      await handle.close();
    }
  });
}
