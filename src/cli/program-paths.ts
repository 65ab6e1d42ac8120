/** The paths by which a program of `run` finds a model. */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, isError, ModelGuardError } from '../errors.js';
import { withFileErrorsSync } from '../files/files.js';
import { LinkFolder, MountPoint } from '../files/link-folder.js';
import type { GuardedFile, GuardedModel } from '../index.js';
import { usage } from './flags/common.js';
import { type Launch, type RunningProgram, withDescriptors, withMount } from './run-program.js';
import { isFolder } from './sdk.js';

/** Behind stdin, stdout and stderr. */
const FIRST_DESCRIPTOR = 3;
const NO_DESCRIPTORS: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE']);
/** File names that an error lists. */
const MOST_NAMES = 10;

abstract class ProgramPaths {
  readonly #files: GuardedModel['files'];
  readonly #paths: ReadonlyMap<string, string>;
  readonly #folder: { readonly path: string; remove(): void } | undefined;
  readonly #isFolder: boolean;

  protected constructor(model: GuardedModel, paths: ReadonlyMap<string, string>, folder?: LinkFolder | MountPoint) {
    this.#files = model.files;
    this.#paths = paths;
    this.#folder = folder;
    this.#isFolder = isFolder(model);
  }

  /** How the program gets the files that `descriptors` are of, in their order. */
  protected abstract launch(files: readonly GuardedFile[], descriptors: readonly number[]): Launch;

  get model(): string {
    return this.#isFolder && this.#folder ? this.#folder.path : (this.#paths.values().next().value as string);
  }

  /** Replaces `{model}` and `{file:NAME}`. @throws INVALID_ARGUMENT for a file that is not in the model */
  insertInto(word: string): string {
    return word.replace(/\{model\}|\{file:([^}]*)\}/g, (placeholder, name?: string) =>
      name === undefined ? this.model : (this.#paths.get(name) ?? this.#refuse(placeholder)),
    );
  }

  #refuse(placeholder: string): never {
    const names = [...this.#paths.keys()];
    const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '';
    throw usage(`${placeholder} is no file of this model, which has ${names.slice(0, MOST_NAMES).join(', ')}${more}`);
  }

  /** Gives `start` a descriptor of each file: one that reads from an offset of its own, and that no other program inherits. */
  async lend(start: (launch: Launch) => Promise<RunningProgram>): Promise<RunningProgram> {
    const descriptors: number[] = [];
    const files = [...this.#files.values()];
    try {
      for (const file of files) descriptors.push(this.#open(file));
      return await start(this.launch(files, descriptors));
    } finally {
      for (const descriptor of descriptors) closeSync(descriptor);
    }
  }

  #open(file: GuardedFile): number {
    try {
      return withFileErrorsSync('Cannot open', file.name, () => openSync(file.path(), 'r'));
    } catch (error) {
      if (!NO_DESCRIPTORS.has(codeOf(isError(error) ? error.cause : undefined))) throw error;
      throw new ModelGuardError(
        'OUT_OF_MEMORY',
        `run needs two descriptors for each of the ${this.#files.size} files of the model, and the limit of this process (RLIMIT_NOFILE) is too low`,
        { cause: error, advice: 'Raise it: ulimit -n.' },
      );
    }
  }

  remove(): void {
    this.#folder?.remove();
  }
}

/** Of descriptors that the program inherits. */
export class InheritedPaths extends ProgramPaths {
  constructor(model: GuardedModel) {
    const paths = new Map([...model.files.keys()].map((name, at) => [name, `/proc/self/fd/${FIRST_DESCRIPTOR + at}`]));
    super(model, paths, isFolder(model) ? new LinkFolder(paths) : undefined);
  }

  protected launch(_: readonly GuardedFile[], descriptors: readonly number[]): Launch {
    return withDescriptors(descriptors);
  }
}

/** Of files in a mount that the program alone sees. */
export class MountedPaths extends ProgramPaths {
  readonly #point: MountPoint;

  constructor(model: GuardedModel) {
    const point = new MountPoint();
    super(model, new Map([...model.files.keys()].map((name) => [name, join(point.path, name)])), point);
    this.#point = point;
  }

  protected launch(files: readonly GuardedFile[], descriptors: readonly number[]): Launch {
    const mounted = files.map(({ name, size }, at) => ({ path: name, size, descriptor: descriptors[at] as number }));
    return withMount(this.#point.path, mounted);
  }
}
