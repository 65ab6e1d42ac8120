/** Stores big parts and their trees on the disk of this machine, as the big half of a file store. */
import { type FileHandle, open, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { fileStore, isModelGuardError, ModelGuardError, writeWhole } from '@org/model-guard/server-kit';
import type { Member } from '../base/caller.js';
import type { Context } from '../context.js';
import { isChecked, noteChecked } from './check-records.js';
import { DiskReserve, freeBytes, type Reservation } from './disk-reserve.js';
import { DiskRows } from './disk-rows.js';
import {
  type Check,
  noUpload,
  otherBytes,
  type PartBytes,
  type Parts,
  type Ref,
  type StoredPart,
  treeOf,
  type Upload,
  type UploadPlan,
  type UrlSigner,
} from './parts.js';

/** A part, or its tree, on the disk. */
export interface StoredFile extends StoredPart {
  readonly file: string;
}

/** A part that was touched within this time is not touched again: ten minutes are little of the day that an unused part stays. */
const YOUNG_MS = 600_000;

/** Bytes between two checks of the disk, to which other programs write, too. */
const LOOKED_AT_EVERY = 64 * 1024 * 1024;

export class LocalParts implements Parts {
  readonly urls: UrlSigner;
  readonly #folder: string;
  readonly #store: ReturnType<typeof fileStore>;
  readonly #reserve: DiskReserve;
  readonly #rows: DiskRows;
  readonly #db: Context['db'];
  /** Uploads under way, by part. */
  readonly #running = new Map<string, number>();

  /** @param free bytes that the disk has left */
  constructor(
    context: Pick<Context, 'config' | 'db' | 'now'>,
    urls: UrlSigner,
    free = () => freeBytes(context.config.dataFolder),
  ) {
    this.urls = urls;
    this.#folder = join(context.config.dataFolder, 'parts');
    this.#store = fileStore(this.#folder, { mode: 0o600 });
    this.#rows = new DiskRows(context);
    this.#db = context.db;
    this.#reserve = new DiskReserve(free);
  }

  #file(object: string): string {
    return join(this.#folder, 'big', object);
  }

  find(name: string): Promise<StoredFile | undefined> {
    return found(this.#file(name));
  }

  /** Undefined also for an empty tree, which the file store writes for a part without a tree. */
  async findTree(name: string): Promise<StoredFile | undefined> {
    const tree = await found(this.#file(treeOf(name)));
    return tree && tree.size > 0 ? tree : undefined;
  }

  async hasTree(name: string): Promise<boolean> {
    return (await this.findTree(name)) !== undefined;
  }

  async open(name: string): Promise<PartBytes> {
    return { file: this.#file(name), close: async () => undefined };
  }

  /** Parts come through this server, in one request. */
  async begin(_member: Member, _ref: Ref, name: string, size: number): Promise<UploadPlan> {
    const stored = await this.find(name);
    if (stored && stored.size !== size) throw otherBytes(name);
    return { kind: stored ? 'stored' : 'direct' };
  }

  async pieceUrls(_member: Member, upload: string): Promise<never> {
    throw noUpload(upload);
  }

  async complete(_member: Member, upload: string): Promise<never> {
    throw noUpload(upload);
  }

  async abort(_member: Member, upload: string): Promise<never> {
    throw noUpload(upload);
  }

  async put({ account }: Member, ref: Ref, name: string, upload: Upload): Promise<void> {
    const stored = await this.find(name);
    if (stored) return refuseOthers(name, await holds(stored, upload));
    await this.#counted(account.id, name, upload.size, () => this.#put(ref, name, upload));
  }

  /** Runs `task` with the part counted for the account. Where no part results, the count is taken back. */
  async #counted(account: string, name: string, size: number, task: () => Promise<void>): Promise<void> {
    await this.#rows.claim(account, name, size);
    this.#running.set(name, (this.#running.get(name) ?? 0) + 1);
    try {
      await task();
    } finally {
      const others = (this.#running.get(name) ?? 1) - 1;
      if (others > 0) this.#running.set(name, others);
      else {
        this.#running.delete(name);
        // A failure here is corrected a day later; the upload's own error is thrown.
        if (!(await this.find(name).catch(() => true))) await this.#rows.release(name).catch(() => undefined);
      }
    }
  }

  async #put(ref: Ref, name: string, upload: Upload): Promise<void> {
    const room = await this.#reserve.admit(upload.size);
    const bytes = this.#within(room, exactly(upload));
    try {
      await this.#store.putBig(ref, name, { size: upload.size, stream: () => bytes, tree: () => new Uint8Array() });
    } catch (error) {
      // Another upload was faster, and has stored the part; this upload's bytes are consumed.
      if (isModelGuardError(error) && error.code === 'ALREADY_EXISTS') refuseOthers(name, false);
      throw error;
    } finally {
      room.end();
    }
  }

  async *#within(room: Reservation, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    let since = 0;
    for await (const piece of bytes) {
      since += piece.length;
      if (since >= LOOKED_AT_EVERY) {
        since = 0;
        await this.#reserve.check();
      }
      const { length } = piece;
      yield piece;
      // The store pulls the next piece once this one is written.
      room.written(length);
    }
  }

  async storeTree(_ref: Ref, name: string, tree: Uint8Array): Promise<void> {
    await writeWhole(this.#file(treeOf(name)), (handle) => handle.writeFile(tree), { overwrite: true });
  }

  /** Changes with every replaced file, by its inode, and with every write, by its time. */
  async mark(name: string): Promise<string | undefined> {
    const file = await stat(this.#file(name), { bigint: true }).catch(() => undefined);
    return file && `${file.dev}.${file.ino}.${file.size}.${file.mtimeNs}`;
  }

  async isChecked(name: string, check: Check): Promise<boolean> {
    return (await this.hasTree(name)) && (await isChecked(this.#db, 'disk_parts', name, check));
  }

  noteChecked(name: string, check: Check): Promise<void> {
    return noteChecked(this.#db, 'disk_parts', name, check);
  }

  /**
   * Sets the time of the file, which is part of its mark. A part that was touched just now is left alone, so that publications at
   * once do not move the mark during each other's checks.
   */
  async touch(name: string): Promise<void> {
    const file = await stat(this.#file(name)).catch(() => undefined);
    if (!file || file.mtimeMs > Date.now() - YOUNG_MS) return;
    const before = await this.mark(name);
    await this.#touch(name);
    const after = await this.mark(name);
    if (before !== undefined && after !== undefined) await this.#rows.moveMark(name, before, after);
  }

  async #touch(name: string): Promise<void> {
    const now = new Date();
    // With its tree, which lives as long as its part.
    for (const object of [name, treeOf(name)]) await utimes(this.#file(object), now, now).catch(() => undefined);
  }

  async collect(referenced: ReadonlySet<string>): Promise<readonly string[]> {
    const removed = await this.#store.collect({ referenced });
    await this.#rows.releaseAbsent(async (part) => this.#running.has(part) || (await this.find(part)) !== undefined);
    return removed;
  }

  /** Files of this machine are assumed readable. */
  async demandReadable(): Promise<void> {}

  close(): void {}
}

function refuseOthers(name: string, same: boolean): void {
  if (!same) throw otherBytes(name);
}

async function found(file: string): Promise<StoredFile | undefined> {
  try {
    const { size } = await stat(file);
    return { file, size };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The bytes of an upload. Fails unless they are as many as announced. */
async function* exactly({ size, bytes }: Upload): AsyncGenerator<Uint8Array, void, undefined> {
  let done = 0;
  for await (const piece of received(bytes)) {
    done += piece.length;
    if (done > size) break;
    yield piece;
  }
  if (done !== size) throw cutOff();
}

/** An error of the body comes from the network, so the sender may know it. */
async function* received(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* bytes;
  } catch (cause) {
    throw isModelGuardError(cause) ? cause : cutOff(cause);
  }
}

const cutOff = (cause?: unknown): ModelGuardError =>
  new ModelGuardError('INVALID_ARGUMENT', 'The body is not as long as its Content-Length says', { cause });

/** Whether the upload repeats the stored bytes. */
async function holds(stored: StoredFile, upload: Upload): Promise<boolean> {
  if (stored.size !== upload.size) return false;
  return await within(open(stored.file, 'r'), async (handle) => {
    for await (const piece of exactly(upload)) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(piece.length), 0, piece.length);
      if (!buffer.subarray(0, bytesRead).equals(piece)) return false;
    }
    return true;
  });
}

async function within<T>(opening: Promise<FileHandle>, task: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await opening;
  try {
    return await task(handle);
  } finally {
    await handle.close();
  }
}
