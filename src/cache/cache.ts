/**
 * Big parts that came over a network, kept as they came: ciphertext, under the digest of the payload that they are a piece of. Nothing
 * here is trusted: a load from a file of the cache verifies it as if it had just come.
 */
import { constants } from 'node:fs';
import { lstat, open, readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { hasCode, ModelGuardError } from '../errors.js';
import { isTemporary, notRegular, removeQuietly, setTimes, withFileErrors } from '../files/files.js';
import { CacheFolder, checkOwner, defaultCacheFolder } from './folder.js';
import type { CacheOptions } from './options.js';
import { type Disk, diskOf, leavesRoom } from './space.js';
import { warnUnused } from './warn.js';
import { CacheWriter } from './writer.js';

export const DEFAULT_MAX_BYTES = 32 * 1024 ** 3;
/** A temporary file that was not written to for so long was left by a crash. */
const LEFT_MS = 60 * 60 * 1000;
const ENTRY = /^([0-9a-f]{64})-(0|[1-9][0-9]{0,15})$/;

/** Which big part: a payload has one digest, and where in it the part begins and ends says which bytes these are. */
export interface CacheKey {
  /** 64 hex digits. */
  readonly digest: string;
  /** Where in the payload the part begins. */
  readonly offset: number;
  /** Bytes of the part. */
  readonly size: number;
}

/** A part that is kept. */
export interface CacheEntry extends CacheKey {
  /** Milliseconds since 1970. */
  readonly used: number;
}

interface CiphertextCacheOptions {
  readonly folder: string;
  readonly maxBytes: number;
  /** The folder is the default, not the caller's choice: a failure to write to it is not reported. */
  readonly assumed?: boolean | undefined;
  readonly disk?: ((folder: string) => Promise<Disk>) | undefined;
}

/** The cache that the options of `load` mean. Undefined: none. */
export function openCache(options: CacheOptions | false | undefined): CiphertextCache | undefined {
  if (options === false) return undefined;
  const { folder = defaultCacheFolder(), maxBytes = DEFAULT_MAX_BYTES } = options ?? {};
  if (folder === undefined) return undefined;
  return new CiphertextCache({ folder: resolve(folder), maxBytes, assumed: options?.folder === undefined });
}

/** Several processes may use a folder at once: an entry is there whole or not at all, and no process waits for another. */
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

  #path({ digest, offset }: CacheKey): string {
    return join(this.#folder.entries, `${digest}-${offset}`);
  }

  /** The file that holds the whole part, used now. It may be gone before it is opened. Never rejects. */
  async find(key: CacheKey): Promise<string | undefined> {
    const path = this.#path(key);
    try {
      return (await this.#folder.check()) && (await use(path, key.size)) ? path : undefined;
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND') && !this.#expected(error)) warnUnused(error);
      return undefined;
    }
  }

  /** Takes up a part that is being fetched. Undefined where it cannot be kept; never rejects. */
  async keep(key: CacheKey): Promise<CacheWriter | undefined> {
    try {
      if (key.size > this.#maxBytes)
        throw new ModelGuardError('LIMIT_EXCEEDED', `a big part of ${key.size} bytes is larger than the cache may be`, {
          advice: 'Allow more (cache: { maxBytes }), or load without it (cache: false, --no-cache).',
        });
      if (!(await this.#made())) return undefined;
      // Leftovers of crashes must not keep the cache from storing.
      await this.trim();
      await this.#checkRoom(key.size);
      return await CacheWriter.begin({
        path: this.#path(key),
        size: key.size,
        checkRoom: () => this.#checkRoom(0),
        isThere: async () => (await this.find(key)) !== undefined,
        placed: async () => {
          await this.trim().catch(warnUnused);
        },
      });
    } catch (error) {
      warnUnused(error);
      return undefined;
    }
  }

  /** Forgets a part that turned out to be useless. Never rejects. */
  async drop(key: CacheKey): Promise<void> {
    await removeQuietly(this.#path(key));
  }

  /** The entries, the last used first. */
  async list(): Promise<readonly CacheEntry[]> {
    return (await this.#survey()).entries;
  }

  /** Removes what was used least recently until the rest is within the limit, and what crashes left. What was removed. */
  async trim(): Promise<readonly CacheEntry[]> {
    const { entries, temporaries } = await this.#survey();
    const before = Date.now() - LEFT_MS;
    for (const { path, changed } of temporaries) if (changed < before) await removeQuietly(path);
    let bytes = entries.reduce((sum, { size }) => sum + size, 0);
    const removed: CacheEntry[] = [];
    for (const entry of [...entries].reverse()) {
      if (bytes <= this.#maxBytes) break;
      await this.drop(entry);
      bytes -= entry.size;
      removed.push(entry);
    }
    return removed;
  }

  /** Removes everything. What was removed. */
  async clear(): Promise<readonly CacheEntry[]> {
    const { entries, temporaries } = await this.#survey();
    for (const { path } of temporaries) await removeQuietly(path);
    for (const entry of entries) await this.drop(entry);
    return entries;
  }

  /** Whether there is a folder to write to. */
  async #made(): Promise<boolean> {
    try {
      await this.#folder.make();
    } catch (error) {
      if (this.#expected(error)) return false;
      throw error;
    }
    return true;
  }

  /** In a container, for one: the system allows no cache where one would be. Who owns the folder is another matter, without a cause. */
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
      const [, digest, offset] = ENTRY.exec(name) ?? [];
      if (digest !== undefined) entries.push({ digest, offset: Number(offset), size: stats.size, used: stats.mtimeMs });
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

/** Whether the path is a file of this user with this size; then its time of use is set to now. A file of another size is removed. */
async function use(path: string, size: number): Promise<boolean> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  return withFileErrors('Cannot open', path, async () => {
    const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    try {
      const stats = await handle.stat();
      checkOwner(path, stats);
      if (!stats.isFile()) throw notRegular(path, stats);
      if (stats.size !== size) {
        await removeQuietly(path);
        return false;
      }
      const now = new Date();
      // Access times do not tell: most disks are mounted without them. What cannot be marked is used all the same.
      await setTimes(handle, now).catch(() => undefined);
      return true;
    } finally {
      await handle.close();
    }
  });
}
