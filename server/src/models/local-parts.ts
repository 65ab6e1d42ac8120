/** Big parts and their trees on the disk of this machine: the big half of a file store. */
import { type FileHandle, open, rename, stat, statfs, unlink, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileStore, isModelGuardError, ModelGuardError } from '@org/model-guard/server-kit';
import type { Config } from '../config.js';

/** A model at a version. */
export interface Ref {
  readonly name: string;
  readonly version: string;
}
/** A part that is stored. */
export interface StoredPart {
  readonly file: string;
  readonly size: number;
}
/** Bytes on their way in, and how many were announced. */
export interface Upload {
  readonly size: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** docs/format.md, section 3: chunk k of a payload lies at 56 + k * 16400; a stored node of the tree covers 64 chunks. */
const PREFIX = 56;
const CHUNK = 16_400;
const CHUNKS_A_NODE = 64;
const NODE = 32;
/** The tree of a part, in bytes; its name says where in the payload it begins. */
function treeSize(name: string, size: number): number {
  const payload = Number(name.slice(name.indexOf('-') + 1)) + size;
  const chunks = Math.floor((payload - PREFIX) / CHUNK) + 1;
  return NODE * Math.ceil(chunks / CHUNKS_A_NODE);
}

/** Uploads leave so much of the disk to the database: everything else needs its commits. */
const RESERVED = 256 * 1024 * 1024;
/** Others write too, so it is looked at again and again. */
const LOOKED_AT_EVERY = 64 * 1024 * 1024;
async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** A part is written once, whole or not at all, and never changed. Nothing here looks into it. */
export class LocalParts {
  readonly #folder: string;
  readonly #store: ReturnType<typeof fileStore>;
  readonly #free: () => Promise<number>;

  /** @param free Bytes that the disk has left. */
  constructor({ dataFolder }: Pick<Config, 'dataFolder'>, free = () => freeBytes(dataFolder)) {
    this.#folder = join(dataFolder, 'parts');
    this.#store = fileStore(this.#folder);
    this.#free = free;
  }

  #file(name: string): string {
    return join(this.#folder, 'big', name);
  }

  find(name: string): Promise<StoredPart | undefined> {
    return found(this.#file(name));
  }

  /** Undefined also where the tree is empty, which the file store writes for a part that brings none. */
  async findTree(name: string): Promise<StoredPart | undefined> {
    const tree = await found(`${this.#file(name)}.tree`);
    return tree && tree.size > 0 ? tree : undefined;
  }

  /**
   * Stores a part. An upload that repeats what is stored succeeds: its first answer may have been lost.
   * @throws ALREADY_EXISTS if other bytes have this name; INVALID_ARGUMENT if the upload is not as long as announced; LIMIT_EXCEEDED if
   *   the disk has no room for it
   */
  async put(ref: Ref, name: string, upload: Upload): Promise<void> {
    const stored = await this.find(name);
    if (stored) return refuseOthers(name, await holds(stored, upload));
    await this.#refuseFull(upload.size);
    const bytes = this.#leavingRoom(exactly(upload));
    try {
      await this.#store.putBig(ref, name, { size: upload.size, stream: () => bytes, tree: () => new Uint8Array() });
    } catch (error) {
      // Somebody else was faster, and this upload is used up.
      if (isModelGuardError(error) && error.code === 'ALREADY_EXISTS') refuseOthers(name, false);
      throw error;
    }
  }

  async #refuseFull(more: number): Promise<void> {
    if ((await this.#free()) - more < RESERVED)
      throw new ModelGuardError('LIMIT_EXCEEDED', 'The disk of this server has no room for the part', {
        advice: 'Have its administrator make room.',
      });
  }

  async *#leavingRoom(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    let since = 0;
    for await (const piece of bytes) {
      since += piece.length;
      if (since >= LOOKED_AT_EVERY) {
        since = 0;
        await this.#refuseFull(0);
      }
      yield piece;
    }
  }

  /**
   * Stores the tree of a part that is there, once; repeating it is as above.
   * @throws NOT_FOUND without its part; INVALID_ARGUMENT if it cannot be that part's tree; ALREADY_EXISTS
   */
  async putTree(ref: Ref, name: string, upload: Upload): Promise<void> {
    const part = await this.find(name);
    if (!part) throw notUploaded(name);
    const size = treeSize(name, part.size);
    if (upload.size !== size)
      throw new ModelGuardError('INVALID_ARGUMENT', `The body has ${upload.size} bytes; the tree of this part has ${size}`);
    const stored = await this.findTree(name);
    if (stored) return refuseOthers(name, await holds(stored, upload));
    await this.#writeTree(ref, name, exactly(upload));
  }

  /** The tree as this server computed it stands for whatever was uploaded. */
  async replaceTree(ref: Ref, name: string, tree: Uint8Array): Promise<void> {
    await this.#writeTree(ref, name, [tree]);
  }

  async #writeTree(ref: Ref, name: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void> {
    const temporary = await this.#store.localTarget?.(ref, name);
    if (temporary === undefined) throw new ModelGuardError('INTERNAL', 'The file store names no place for a tree');
    try {
      await within(open(temporary, 'wx', 0o600), async (handle) => {
        for await (const piece of bytes) await handle.appendFile(piece);
        await handle.sync();
      });
      await rename(temporary, `${this.#file(name)}.tree`);
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw error;
    }
    await within(open(dirname(temporary), 'r'), (folder) => folder.sync());
  }

  /** Begins the grace period of a part anew: nothing collects it while it is being published, or just after it was replaced. */
  async touch(name: string): Promise<void> {
    const now = new Date();
    // With its tree: what covers a part lives as long.
    for (const file of [this.#file(name), `${this.#file(name)}.tree`]) await utimes(file, now, now).catch(() => undefined);
  }

  /** Removes what is not `referenced` and older than a day. Returns what was removed. */
  collect(referenced: ReadonlySet<string>): Promise<readonly string[]> {
    return this.#store.collect({ referenced });
  }
}

export const notUploaded = (name: string): ModelGuardError =>
  new ModelGuardError('NOT_FOUND', `The big part ${name} is not here`, { advice: 'Upload the big part first, then publish.' });

function refuseOthers(name: string, same: boolean): void {
  if (!same)
    throw new ModelGuardError('ALREADY_EXISTS', `Other bytes were uploaded as ${name} before`, {
      advice: 'A part is never replaced: protect the model again, which gives it a new name.',
    });
}

async function found(file: string): Promise<StoredPart | undefined> {
  try {
    const { size } = await stat(file);
    return { file, size };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The bytes of an upload, if they are as many as were announced. */
async function* exactly({ size, bytes }: Upload): AsyncGenerator<Uint8Array, void, undefined> {
  let done = 0;
  for await (const piece of received(bytes)) {
    done += piece.length;
    if (done > size) break;
    yield piece;
  }
  if (done !== size) throw cutOff();
}

/** What fails here failed on the network, and is the sender's to know. */
async function* received(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* bytes;
  } catch (cause) {
    throw isModelGuardError(cause) ? cause : cutOff(cause);
  }
}

const cutOff = (cause?: unknown): ModelGuardError =>
  new ModelGuardError('INVALID_ARGUMENT', 'The body is not as long as its Content-Length says', { cause });

/** Whether the upload repeats what is stored. */
async function holds(stored: StoredPart, upload: Upload): Promise<boolean> {
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
