/** Files written whole or not at all, and what the system says about them as codes. Nothing here knows of models. */
import { isUtf8 } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { constants, fsync, futimes, type Stats } from 'node:fs';
import { chmod, type FileHandle, link, lstat, mkdir, open, realpath, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { codeOf, hasCode, isModelGuardError, ModelGuardError, type ModelGuardErrorCode } from '../errors.js';
import { call } from '../native/index.js';

const SYSTEM_CODES: Readonly<Record<string, ModelGuardErrorCode>> = {
  ENOSPC: 'NO_SPACE',
  EDQUOT: 'NO_SPACE',
  EROFS: 'READ_ONLY',
  EACCES: 'PERMISSION_DENIED',
  EPERM: 'PERMISSION_DENIED',
  ENOENT: 'NOT_FOUND',
  EEXIST: 'ALREADY_EXISTS',
  ENOMEM: 'OUT_OF_MEMORY',
};

export const systemCode = ({ code }: { readonly code?: unknown }): ModelGuardErrorCode =>
  SYSTEM_CODES[String(code)] ?? 'IO_FAILED';

/**
 * The same meaning of errno as `Status::from_errno` in native/core. What no system call reported passes unchanged: it comes
 * from a stream or a callback. `action` reads like "Cannot read".
 */
function fileError(cause: unknown, action: string, path: string): unknown {
  const code = codeOf(cause);
  if (code === undefined || isModelGuardError(cause) || !Object.hasOwn(cause as object, 'syscall')) return cause;
  const meaning = systemCode({ code });
  // The code's own advice is for models in stores.
  const advice = meaning === 'NOT_FOUND' ? 'Check the path.' : undefined;
  return new ModelGuardError(meaning, `${action} ${path} (${code})`, { cause, advice });
}

export async function withFileErrors<T>(action: string, path: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw fileError(error, action, path);
  }
}

export function withFileErrorsSync<T>(action: string, path: string, task: () => T): T {
  try {
    return task();
  } catch (error) {
    throw fileError(error, action, path);
  }
}

const TEMPORARY = /^\.tmp-[0-9a-f]{24}$/;

/** No model, version or part may have such a name, so that what a crash left is recognised. */
export const isTemporary = (name: string): boolean => TEMPORARY.test(name);

export const temporaryBeside = (path: string): string => join(dirname(resolve(path)), `.tmp-${randomBytes(12).toString('hex')}`);

export async function removeQuietly(path: string): Promise<void> {
  await unlink(path).catch(() => undefined);
}

/** Errors of a file system that cannot do what was asked for. The native core has the same list (files/rename_new.cc). */
const UNSUPPORTED: ReadonlySet<unknown> = new Set(['EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EPERM']);

/** False where the file system cannot do it. */
export async function ifSupported(operation: Promise<void>): Promise<boolean> {
  try {
    await operation;
    return true;
  } catch (error) {
    if (UNSUPPORTED.has(codeOf(error))) return false;
    throw error;
  }
}

// By number: the file handles of Yarn's Plug'n'Play have neither `sync` nor `utimes`.
const syncDescriptor = promisify(fsync);
const setDescriptorTimes = promisify(futimes);

/** Sets both times of an open file. */
export const setTimes = (handle: FileHandle, time: Date): Promise<void> => setDescriptorTimes(handle.fd, time, time);

/** Some file systems, such as network shares, cannot sync, above all folders. What is written there is as durable as they make it. */
async function sync(handle: FileHandle): Promise<void> {
  await ifSupported(syncDescriptor(handle.fd));
}

export async function syncFolder(folder: string): Promise<void> {
  await withFileErrors('Cannot sync the folder', folder, () => withHandle(open(folder, 'r'), sync));
}

export async function syncFile(path: string): Promise<void> {
  await withFileErrors('Cannot sync', path, () => withHandle(open(path, 'r'), sync));
}

async function withHandle<T>(opening: Promise<FileHandle>, task: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await opening;
  try {
    return await task(handle);
  } finally {
    await handle.close();
  }
}

/**
 * Makes a folder and its parents. A new folder survives a power cut only once its parent is synced. Node's own recursive
 * mkdir reports a read-only file system as ENOENT, so it is done by hand.
 */
export async function makeFolder(path: string, mode: FileMode = 'umask'): Promise<void> {
  const folder = resolve(path);
  // Those who may read files in it may also look them up.
  const folderMode = mode === 'umask' ? 0o777 : mode | ((mode & 0o444) >> 2);
  const make = () =>
    withFileErrors('Cannot make the folder', folder, async () => {
      await mkdir(folder, folderMode);
      if (mode !== 'umask') await ifSupported(chmod(folder, folderMode));
    });
  try {
    await make().catch(async (error: unknown) => {
      if (!hasCode(error, 'NOT_FOUND') || folder === dirname(folder)) throw error;
      await makeFolder(dirname(folder), mode);
      await make();
    });
  } catch (error) {
    if (hasCode(error, 'ALREADY_EXISTS')) return;
    throw error;
  }
  await syncFolder(dirname(folder));
}

export async function exists(path: string): Promise<boolean> {
  try {
    await withFileErrors('Cannot look up', path, () => lstat(path));
    return true;
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return false;
    throw error;
  }
}

/** Without links, also of what does not exist yet: its nearest folder that does counts. */
export async function realPathOf(path: string): Promise<string> {
  const wanted = resolve(path);
  try {
    return await realpath(wanted);
  } catch (error) {
    const code = codeOf(error);
    if ((code !== 'ENOENT' && code !== 'ENOTDIR') || wanted === dirname(wanted)) throw fileError(error, 'Cannot look up', wanted);
    return join(await realPathOf(dirname(wanted)), basename(wanted));
  }
}

export async function refuseExisting(path: string): Promise<void> {
  if (await exists(path)) throw new ModelGuardError('ALREADY_EXISTS', `${path} already exists`);
}

/**
 * Gives a synced temporary its name and syncs the folder. Without `overwrite` it fails if that name is taken: a hard link decides, or
 * where there are none the next best way of the file system.
 */
export async function place(temporary: string, target: string, overwrite: boolean): Promise<void> {
  await withFileErrors('Cannot write', target, async () => {
    if (overwrite) return rename(temporary, target);
    if (await ifSupported(link(temporary, target))) await unlink(temporary);
    else await call((native) => native.renameNew(temporary, resolve(target)));
  });
  await syncFolder(dirname(resolve(target)));
}

/** Permissions of a new file: these, or those that the umask leaves to files that everyone may read. */
export type FileMode = number | 'umask';
/** For secrets and other files of this user alone. */
export const PRIVATE = 0o600;

export interface WriteOptions {
  readonly overwrite: boolean;
  /** Default: PRIVATE. */
  readonly mode?: FileMode | undefined;
}

/** `make` writes and syncs a temporary beside `target`, which then takes its name. A failure leaves nothing. */
export async function commit(
  target: string,
  { overwrite }: Pick<WriteOptions, 'overwrite'>,
  make: (temporary: string) => Promise<void>,
): Promise<void> {
  if (!overwrite) await refuseExisting(target);
  const temporary = temporaryBeside(target);
  try {
    await withFileErrors('Cannot write', target, () => make(temporary));
    await place(temporary, target, overwrite);
  } catch (error) {
    await removeQuietly(temporary);
    throw error;
  }
}

/** Runs `write` on a new file and syncs it. */
export async function writeSynced(
  path: string,
  write: (handle: FileHandle) => Promise<void>,
  mode: FileMode = PRIVATE,
): Promise<void> {
  await withHandle(open(path, 'wx', mode === 'umask' ? 0o666 : mode), async (handle) => {
    if (mode !== 'umask') await setMode(handle, mode);
    await write(handle);
    await sync(handle);
  });
}

/** The same on an existing file. */
export async function patchSynced(path: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  await withHandle(open(path, 'r+'), async (handle) => {
    await write(handle);
    await sync(handle);
  });
}

/** A new file with what `write` writes, whole or not at all. */
export async function writeWhole(
  target: string,
  write: (handle: FileHandle) => Promise<void>,
  options: WriteOptions,
): Promise<void> {
  await commit(target, options, (temporary) => writeSynced(temporary, write, options.mode));
}

/** Whatever the umask says. Some file systems have one mode for all files. */
export async function setMode(handle: FileHandle, mode: number): Promise<void> {
  await ifSupported(handle.chmod(mode));
}

export async function writeAll(handle: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const at = position === undefined ? null : position + done;
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at);
    done += bytesWritten;
  }
}

/**
 * Reads into the beginning of `bytes`, as much as there is; 0 at the end of the file. By way of a Buffer: the file handles of Yarn's
 * Plug'n'Play take no other array before Yarn 4.12.
 * @param position In the file; `null`: where the last read ended.
 */
export async function readSome(handle: FileHandle, bytes: Uint8Array, position: number | null): Promise<number> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (await handle.read(buffer, 0, buffer.length, position)).bytesRead;
}

/** Fills `bytes` from `position` or fails with CONTAINER_TRUNCATED. */
export async function readAll(handle: FileHandle, bytes: Uint8Array, position: number, path: string): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const bytesRead = await readSome(handle, bytes.subarray(done), position + done);
    if (bytesRead === 0) throw new ModelGuardError('CONTAINER_TRUNCATED', `${path} ends before byte ${position + bytes.length}`);
    done += bytesRead;
  }
}

/** The kinds of `Stats` and `BigIntStats`. */
type Kinds = Pick<Stats, 'isDirectory' | 'isBlockDevice' | 'isCharacterDevice' | 'isSocket' | 'isFIFO'>;

/** SOURCE_UNSUPPORTED of what stands where a file is wanted. */
export function notRegular(path: string, stat: Kinds): ModelGuardError {
  return new ModelGuardError('SOURCE_UNSUPPORTED', `${path} is ${kindOf(stat)}, and a file is wanted`, {
    advice: 'Give a file.',
  });
}

export function kindOf(stat: Kinds): string {
  if (stat.isDirectory()) return 'a folder';
  if (stat.isBlockDevice() || stat.isCharacterDevice()) return 'a device';
  if (stat.isSocket()) return 'a socket';
  return stat.isFIFO() ? 'a named pipe' : 'not a regular file';
}

export interface OpenFile {
  readonly handle: FileHandle;
  readonly size: number;
}

/** Opens a regular file for reading; never waits on a pipe. */
export async function openRegular(path: string): Promise<OpenFile> {
  return withFileErrors('Cannot open', path, async () => {
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stat = await handle.stat();
      if (!stat.isFile()) throw notRegular(path, stat);
      return { handle, size: stat.size };
    } catch (error) {
      await handle.close();
      throw error;
    }
  });
}

export async function withFile<T>(path: string, task: (file: OpenFile) => Promise<T>): Promise<T> {
  const file = await openRegular(path);
  try {
    return await withFileErrors('Cannot read', path, () => task(file));
  } finally {
    await file.handle.close();
  }
}

/** Advice for files that are too large to be what is read there. */
export const WRONG_FILE = 'Check that this is the file that was meant.';

/** The whole of a small file. LIMIT_EXCEEDED, before anything is read, if it is larger than `limit`. */
export async function readBounded(path: string, limit: number): Promise<Uint8Array> {
  return withFile(path, async ({ handle, size }) => {
    if (size > limit)
      throw new ModelGuardError('LIMIT_EXCEEDED', `${path} holds ${size} bytes; at most ${limit} are read`, {
        advice: WRONG_FILE,
      });
    const bytes = new Uint8Array(size);
    await readAll(handle, bytes, 0, path);
    return bytes;
  });
}

/** The same of anything that can be read to an end, such as a pipe. LIMIT_EXCEEDED at the first byte too many. */
export async function readAtMost(path: string, limit: number): Promise<Uint8Array> {
  return withFileErrors('Cannot read', path, () =>
    withHandle(open(path, 'r'), async (handle) => {
      const bytes = new Uint8Array(limit + 1);
      let size = 0;
      for (let read = -1; read !== 0 && size <= limit; size += read) read = await readSome(handle, bytes.subarray(size), null);
      if (size > limit)
        throw new ModelGuardError('LIMIT_EXCEEDED', `${path} is longer than ${limit} bytes, and no more are read`, {
          advice: WRONG_FILE,
        });
      return bytes.subarray(0, size);
    }),
  );
}

/** Of a file with a password, or a line of it. */
const MAX_LINES = 8 * 1024;

/** The first line of a small file or pipe. LIMIT_EXCEEDED; INVALID_ARGUMENT where it is not UTF-8, of which every byte would be read as one character. */
export async function readLine(path: string): Promise<string> {
  const bytes = await readAtMost(path, MAX_LINES);
  if (!isUtf8(bytes))
    throw new ModelGuardError('INVALID_ARGUMENT', `${path} is not UTF-8`, { advice: 'Write the password as text in UTF-8.' });
  return Buffer.from(bytes).toString('utf8').split(/\r?\n/, 1)[0] ?? '';
}

const PIECE = 1024 * 1024;

/** The bytes [start, end) in pieces, each a buffer of its own. */
export async function* readPieces(path: string, start = 0, end?: number): AsyncGenerator<Uint8Array, void, undefined> {
  const { handle, size } = await openRegular(path);
  try {
    const stop = end ?? size;
    for (let at = start; at < stop; at += PIECE) {
      const piece = new Uint8Array(Math.min(PIECE, stop - at));
      await withFileErrors('Cannot read', path, () => readAll(handle, piece, at, path));
      yield piece;
    }
  } finally {
    await handle.close();
  }
}
