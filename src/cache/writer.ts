/** Writes one entry of the cache: into a temporary file, which is renamed when every byte is there. */
import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { ByteRanges } from '../base/byte-ranges.js';
import { ModelGuardError } from '../errors.js';
import { removeQuietly, temporaryBeside, withFileErrors, writeAll } from '../files/files.js';
import { markUsed } from './use-time.js';
import { warnUnused } from './warn.js';

const FILE_MODE = 0o600;
/** Bytes that are written between two checks of the free space, which other programs use as well. */
const CHECK_BYTES = 64 * 1024 * 1024;

interface CacheWriterOptions {
  /** The final name of the file. */
  readonly path: string;
  readonly size: number;
  /** Rejects when the disk has no room left. */
  readonly checkRoom: () => Promise<void>;
  /** Whether another process has stored the entry meanwhile. */
  readonly isCached: () => Promise<boolean>;
  /** Called when the entry has its final name. */
  readonly onPlaced: () => Promise<void>;
}

export class CacheWriter {
  readonly #options: CacheWriterOptions;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  readonly #written = new ByteRanges();
  #sinceCheck = 0;
  #ended = false;

  private constructor(options: CacheWriterOptions, temporary: string, handle: FileHandle) {
    this.#options = options;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  static async create(options: CacheWriterOptions): Promise<CacheWriter> {
    const temporary = temporaryBeside(options.path);
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const handle = await withFileErrors('Cannot write', temporary, () =>
      open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE),
    );
    return new CacheWriter(options, temporary, handle);
  }

  /** Writes bytes of the part, in any order; bytes that are written twice replace the earlier ones. Never rejects: a failure abandons the part. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#ended) return;
    try {
      if (offset < 0 || offset + bytes.length > this.#options.size)
        throw new ModelGuardError('INTERNAL', `bytes ${offset} to ${offset + bytes.length} lie outside the big part`);
      await withFileErrors('Cannot write', this.#temporary, () => writeAll(this.#handle, bytes, offset));
      this.#written.add(offset, offset + bytes.length);
      this.#sinceCheck += bytes.length;
      if (this.#sinceCheck < CHECK_BYTES) return;
      this.#sinceCheck = 0;
      await this.#options.checkRoom();
    } catch (error) {
      await this.#fail(error);
    }
  }

  /** Gives the file its final name, if every byte was written. Whether the part is in the cache now; never rejects. */
  async commit(): Promise<boolean> {
    if (this.#ended) return false;
    if (!this.#written.covers(0, this.#options.size)) {
      await this.abandon();
      return false;
    }
    try {
      if (await this.#options.isCached()) {
        await this.abandon();
        return true;
      }
      await withFileErrors('Cannot write', this.#options.path, async () => {
        // With the clock that marks later uses: the clock of the file system is coarser.
        await markUsed(this.#handle);
        // Not synced, so that no load waits for the disk. After a power cut the next load verifies the file, as always.
        await rename(this.#temporary, this.#options.path);
      });
      this.#ended = true;
      await this.#handle.close().catch(() => undefined);
      await this.#options.onPlaced();
      return true;
    } catch (error) {
      await this.#fail(error);
      return false;
    }
  }

  /** Idempotent; never rejects. */
  async abandon(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    // Before it is closed, so that no file is left even if closing fails.
    await removeQuietly(this.#temporary);
    await this.#handle.close().catch(() => undefined);
  }

  async #fail(error: unknown): Promise<void> {
    // After the first failure, writes under way fail too.
    if (!this.#ended) warnUnused(error);
    await this.abandon();
  }
}
