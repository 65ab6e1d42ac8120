/** A file or a folder to protect → what the addon reads, each file under its path in the manifest. */
import { lstat, opendir, realpath } from 'node:fs/promises';
import { basename, join, relative, resolve, sep } from 'node:path';
import { isUint8Array } from 'node:util/types';
import { type AbortSignalLike, throwIfAborted } from '../base/abort.js';
import { formatOf } from '../base/names.js';
import { copyOf, filePath, parse } from '../base/validate.js';
import { ModelGuardError } from '../errors.js';
import { kindOf, withFileErrors } from '../files/files.js';
import type { NativeInput } from '../native/binding.js';
import { call } from '../native/index.js';

/** docs/format.md, section 4. */
const MAX_FILES = 10_000;
/** A path has at most 1,024 bytes, so no file can lie deeper. */
const MAX_DEPTH = 512;
/** Where links are followed, which can lead to one folder many times over. */
const MAX_FOLDERS = 10_000;

const FEWER = { advice: 'Leave some out, or pack them into one file first.' } as const;

/** Folders without files were left out of what is protected. */
export const EMPTY_FOLDERS_WARNING = 'MODEL_GUARD_EMPTY_FOLDERS';
/** Files from outside the folder are part of what is protected. */
export const LINKS_OUTSIDE_WARNING = 'MODEL_GUARD_LINKS_OUTSIDE';
/** Paths in one warning. */
const MAX_NAMED = 20;

export interface Source {
  readonly inputs: readonly NativeInput[];
  /** The caller's, else as far as the path tells. */
  readonly format: string;
}

/** The path of a file or a folder, or a copy of the bytes of a single file. */
export type GivenSource = string | Uint8Array;

/** SOURCE_EMPTY, INVALID_ARGUMENT */
export function givenSource(source: GivenSource): GivenSource {
  if (!isUint8Array(source)) return parse(filePath, source, 'source');
  if (source.length === 0) throw new ModelGuardError('SOURCE_EMPTY', 'There are no bytes to encrypt');
  return copyOf(source, 'source');
}

/** Bytes that were copied do not outlive the operation. */
export function wipe(source: GivenSource): void {
  if (typeof source !== 'string') source.fill(0);
}

interface SourceOptions {
  /** The caller's, where there is one. */
  readonly format?: string | undefined;
  readonly followLinks?: boolean | undefined;
  readonly signal?: AbortSignalLike | undefined;
}

/**
 * Folders are walked whole; empty folders inside are left out, with a warning. Without `followLinks` only what was named itself may be
 * a symbolic link: one inside a folder could lead anywhere. With it the warning names the links that lead out of the folder.
 */
export async function collectSource(source: GivenSource, { format, ...options }: SourceOptions = {}): Promise<Source> {
  if (typeof source !== 'string') return { inputs: [{ path: 'model', bytes: source }], format: format ?? 'unknown' };
  const path = source;
  const real = await withFileErrors('Cannot read', path, () => realpath(path));
  const stat = await withFileErrors('Cannot read', path, () => lstat(real));
  if (stat.isDirectory()) {
    const { inputs, empty, outside } = await new Walk(real, options).run();
    if (inputs.length === 0) throw new ModelGuardError('SOURCE_EMPTY', `${path} holds no files`);
    if (inputs.length === 1 && format !== undefined && format !== 'folder') throw losesFolder(path, format);
    warn(EMPTY_FOLDERS_WARNING, `A model has no empty folders; of ${path} these are left out`, empty);
    warn(LINKS_OUTSIDE_WARNING, `Links lead out of ${path}, and what they lead to is taken`, outside);
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

class Walk {
  readonly inputs: NativeInput[] = [];
  /** Paths in the source of the topmost folders without a file. */
  readonly empty: string[] = [];
  /** Links whose target lies outside the source. */
  readonly outside: string[] = [];
  readonly #root: string;
  readonly #options: Omit<SourceOptions, 'format'>;
  #folders = 0;

  constructor(root: string, options: Omit<SourceOptions, 'format'>) {
    this.#root = root;
    this.#options = options;
  }

  async run(): Promise<this> {
    await this.#folder(this.#root, '', []);
    return this;
  }

  /** @param above Real paths of the folders that led here. */
  async #folder(folder: string, prefix: string, above: readonly string[]): Promise<void> {
    if (above.length > MAX_DEPTH)
      throw new ModelGuardError('LIMIT_EXCEEDED', `${folder} lies deeper than ${MAX_DEPTH} folders`, FEWER);
    this.#folders += 1;
    if (this.#options.followLinks && this.#folders > MAX_FOLDERS)
      throw new ModelGuardError('LIMIT_EXCEEDED', `${this.#root} leads to more than ${MAX_FOLDERS} folders`, FEWER);
    const [files, empty] = [this.inputs.length, this.empty.length];
    const entries = await withFileErrors('Cannot read', folder, () => opendir(folder));
    for await (const { name } of entries) {
      throwIfAborted(this.#options.signal);
      const onDisk = join(folder, name);
      // A name that is no UTF-8 arrives with replacement characters and cannot be opened again.
      if (name.includes('\uFFFD')) throw new ModelGuardError('NAME_INVALID', `${onDisk} has a name that is not UTF-8`);
      await this.#entry(onDisk, `${prefix}${name}`, [...above, folder]);
    }
    if (prefix === '' || this.inputs.length > files) return;
    // Empty folders below it go with it.
    this.empty.splice(empty, Number.POSITIVE_INFINITY, prefix);
  }

  async #entry(onDisk: string, path: string, above: readonly string[]): Promise<void> {
    const stat = await withFileErrors('Cannot read', onDisk, () => lstat(onDisk));
    if (stat.isSymbolicLink() && this.#options.followLinks) {
      const target = await followed(onDisk);
      if (isOutside(this.#root, target)) this.outside.push(`${path} -> ${target}`);
      if (above.includes(target))
        throw new ModelGuardError('SOURCE_UNSUPPORTED', `${onDisk} leads back to ${target}, which it lies in`);
      await this.#entry(target, path, above);
    } else if (stat.isDirectory()) {
      await this.#folder(onDisk, `${path}/`, above);
    } else if (stat.isFile()) {
      if (this.inputs.length === MAX_FILES)
        throw new ModelGuardError('LIMIT_EXCEEDED', `${onDisk} is one file too many: a model has at most ${MAX_FILES}`, FEWER);
      this.inputs.push(input(path, onDisk));
    } else {
      throw unsupported(onDisk, stat);
    }
  }
}

async function followed(link: string): Promise<string> {
  try {
    return await realpath(link);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const [kind, where] = code === 'ENOENT' ? ['NOT_FOUND' as const, 'nowhere'] : ['SOURCE_UNSUPPORTED' as const, 'to no file'];
    throw new ModelGuardError(kind, `The link ${link} leads ${where} (${code})`, {
      cause,
      advice: 'Mend or remove it, or give a folder without it.',
    });
  }
}

const isOutside = (root: string, path: string): boolean => relative(root, path).split(sep)[0] === '..';

/** One warning for all of them. */
function warn(code: string, what: string, paths: readonly string[]): void {
  if (paths.length === 0) return;
  const more = paths.length > MAX_NAMED ? `, and ${paths.length - MAX_NAMED} more` : '';
  process.emitWarning(`${what}: ${paths.slice(0, MAX_NAMED).join(', ')}${more}`, { type: 'ModelGuardWarning', code });
}

/** Some file systems hand names out decomposed; the manifest holds them in NFC. */
function input(name: string, onDisk: string): NativeInput {
  const path = name.normalize('NFC');
  call((native) => native.checkPath(path));
  return { path, onDisk };
}

function unsupported(path: string, stat: Awaited<ReturnType<typeof lstat>>): ModelGuardError {
  const kind = stat.isSymbolicLink() ? 'a symbolic link' : kindOf(stat);
  const advice = stat.isSymbolicLink()
    ? { advice: 'Take what links lead to with followLinks (--follow-links), or give a folder without links.' }
    : {};
  return new ModelGuardError('SOURCE_UNSUPPORTED', `${path} is ${kind}`, advice);
}
