/** A file or a folder to protect → what the addon reads, each file under its path in the manifest. */
import { lstat, opendir, realpath } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { type AbortSignalLike, throwIfAborted } from './abort.js';
import { ModelGuardError } from './errors.js';
import { attempt } from './files.js';
import { formatOf } from './names.js';
import type { NativeInput } from './native/binding.js';
import { call } from './native/index.js';

/** docs/format.md, section 4. */
const MAX_FILES = 10_000;
/** A path has at most 1,024 bytes, so no file can lie deeper. */
const MAX_DEPTH = 512;

export interface Source {
  readonly inputs: readonly NativeInput[];
  /** The caller's, else as far as the path tells. */
  readonly format: string;
}

/**
 * Folders are walked whole; empty folders inside are left out. Only what was named itself may be a symbolic link: one
 * inside a folder could lead anywhere. `format` is the caller's, where there is one.
 */
export async function collectSource(
  path: string,
  { format, signal }: { readonly format?: string | undefined; readonly signal?: AbortSignalLike | undefined } = {},
): Promise<Source> {
  const real = await attempt('Cannot read', path, () => realpath(path));
  const stat = await attempt('Cannot read', path, () => lstat(real));
  if (stat.isDirectory()) {
    const inputs: NativeInput[] = [];
    await walk(real, '', 0, inputs, signal);
    if (inputs.length === 0) throw new ModelGuardError('SOURCE_EMPTY', `${path} holds no files`);
    if (inputs.length === 1 && format !== undefined && format !== 'folder') throw losesFolder(path, format);
    return { inputs, format: format ?? 'folder' };
  }
  if (!stat.isFile()) throw unsupported(path, stat);
  if (stat.size === 0) throw new ModelGuardError('SOURCE_EMPTY', `${path} is empty`);
  return { inputs: [input(basename(resolve(path)), real)], format: format ?? formatOf(path) };
}

/** Only the format `folder` says that a single file was a folder's (docs/format.md, section 2). */
const losesFolder = (path: string, format: string): ModelGuardError =>
  new ModelGuardError(
    'INVALID_ARGUMENT',
    `options.format: ${path} is a folder of one file; as ${format} it would be written out as that file, without its folder`,
    { advice: 'Leave the format out (format, --format), or give the file itself.' },
  );

async function walk(
  folder: string,
  prefix: string,
  depth: number,
  inputs: NativeInput[],
  signal?: AbortSignalLike,
): Promise<void> {
  if (depth > MAX_DEPTH) throw new ModelGuardError('LIMIT_EXCEEDED', `${folder} lies deeper than ${MAX_DEPTH} folders`);
  const entries = await attempt('Cannot read', folder, () => opendir(folder));
  for await (const { name } of entries) {
    throwIfAborted(signal);
    const onDisk = join(folder, name);
    // A name that is no UTF-8 arrives with replacement characters and cannot be opened again.
    if (name.includes('\uFFFD')) throw new ModelGuardError('NAME_INVALID', `${onDisk} has a name that is not UTF-8`);
    const stat = await attempt('Cannot read', onDisk, () => lstat(onDisk));
    if (stat.isDirectory()) {
      await walk(onDisk, `${prefix}${name}/`, depth + 1, inputs, signal);
    } else if (stat.isFile()) {
      if (inputs.length === MAX_FILES)
        throw new ModelGuardError('LIMIT_EXCEEDED', `${folder} brings more than ${MAX_FILES} files; a model has at most as many`);
      inputs.push(input(`${prefix}${name}`, onDisk));
    } else {
      throw unsupported(onDisk, stat);
    }
  }
}

/** Some file systems hand names out decomposed; the manifest holds them in NFC. */
function input(name: string, onDisk: string): NativeInput {
  const path = name.normalize('NFC');
  call((native) => native.checkPath(path));
  return { path, onDisk };
}

function unsupported(path: string, stat: Awaited<ReturnType<typeof lstat>>): ModelGuardError {
  const kinds: readonly [string, boolean][] = [
    ['a symbolic link', stat.isSymbolicLink()],
    ['a device', stat.isBlockDevice() || stat.isCharacterDevice()],
    ['a socket', stat.isSocket()],
    ['a named pipe', stat.isFIFO()],
  ];
  const kind = kinds.find(([, is]) => is)?.[0] ?? 'not a regular file';
  return new ModelGuardError('SOURCE_UNSUPPORTED', `${path} is ${kind}`);
}
