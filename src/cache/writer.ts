/** One big part on its way into the cache: a temporary file beside its place until every byte of it is there. */
import { constants } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { ModelGuardError } from '../errors.js';
import { removeQuietly, setTimes, temporaryBeside, withFileErrors, writeAll } from '../files/files.js';
import { ByteRanges } from '../base/byte-ranges.js';
import { warnUnused } from './warn.js';

const FILE_MODE = 0o600;
/** How many bytes are written between two looks at the disk, which others fill as well. */
const STRETCH = 64 * 1024 * 1024;

interface KeepingOptions {
  /** Its place. */
  readonly path: string;
  readonly size: number;
  /** Rejects when the disk has no room left. */
  readonly checkRoom: () => Promise<void>;
  /** Whether another process has stored the entry meanwhile. */
  readonly isThere: () => Promise<boolean>;
  /** Called when the entry has its final name. */
  readonly placed: () => Promise<void>;
}

export class CacheWriter {
  readonly #options: KeepingOptions;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  readonly #written = new ByteRanges();
  #sinceLook = 0;
  #over = false;

  private constructor(options: KeepingOptions, temporary: string, handle: FileHandle) {
    this.#options = options;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  static async begin(options: KeepingOptions): Promise<CacheWriter> {
    const temporary = temporaryBeside(options.path);
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const handle = await withFileErrors('Cannot write', temporary, () =>
      open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, FILE_MODE),
    );
    return new CacheWriter(options, temporary, handle);
  }

  /** Bytes of the part, in any order; of bytes that come twice the later ones count. Never rejects: what fails gives the part up. */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#over) return;
    try {
      if (offset < 0 || offset + bytes.length > this.#options.size)
        throw new ModelGuardError('INTERNAL', `bytes ${offset} to ${offset + bytes.length} lie outside the big part`);
      await withFileErrors('Cannot write', this.#temporary, () => writeAll(this.#handle, bytes, offset));
      this.#written.add(offset, offset + bytes.length);
      this.#sinceLook += bytes.length;
      if (this.#sinceLook < STRETCH) return;
      this.#sinceLook = 0;
      await this.#options.checkRoom();
    } catch (error) {
      await this.#giveUp(error);
    }
  }

  /** Gives the part its place, if every byte of it was written. Whether it is in the cache now; never rejects. */
  async commit(): Promise<boolean> {
    if (this.#over) return false;
    if (!this.#written.covers(0, this.#options.size)) {
      await this.abandon();
      return false;
    }
    try {
      if (await this.#options.isThere()) {
        await this.abandon();
        return true;
      }
      await withFileErrors('Cannot write', this.#options.path, async () => {
        const now = new Date();
        // By the clock that a later use is noted with: the one of the disk is coarser.
        await setTimes(this.#handle, now);
        // Not synced, so that no load waits for the disk: what a power cut leaves here is verified at each use, as everything is.
        await rename(this.#temporary, this.#options.path);
      });
      this.#over = true;
      await this.#handle.close().catch(() => undefined);
      await this.#options.placed();
      return true;
    } catch (error) {
      await this.#giveUp(error);
      return false;
    }
  }

  /** Idempotent; never rejects. */
  async abandon(): Promise<void> {
    if (this.#over) return;
    this.#over = true;
    // The name first: nothing is left of it even where closing fails.
    await removeQuietly(this.#temporary);
    await this.#handle.close().catch(() => undefined);
  }

  async #giveUp(error: unknown): Promise<void> {
    // Writes under way fail too once the first has ended it.
    if (!this.#over) warnUnused(error);
    await this.abandon();
  }
}
